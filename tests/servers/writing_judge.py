"""A judge on loopback that takes part in RAGAS's testset generation: what it says is read off what it is given.

It asks about the first sentence of a chunk that mentions the term, by three of the sentence's own words, and answers
with the sentence. `lies` holds what it says instead, by the name of the structure that it is asked for.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from tests.servers.judge import JudgeServer, structure

LEARNED = re.compile(r"\b[A-Z][a-z]{4,}\b")
"""What it takes for a name."""


class WritingJudge(JudgeServer):
    """Writes questions, unless told otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.lies: dict[str, Callable[[dict[str, Any], int], Any]] = {}
        self.asked: list[str] = []
        """The structures that were asked for, in order."""

    def answer(self, body: dict[str, Any], number: int) -> str:
        name, given = structure(body), given_to(body)
        with self.lock:
            self.asked.append(name)
        lie = self.lies.get(name)
        return json.dumps(lie(given, number) if lie else _ANSWERS[name](given))


def given_to(body: dict[str, Any]) -> dict[str, Any]:
    """Return the input that RAGAS put into a prompt."""
    prompt = body["messages"][-1]["content"]
    found: dict[str, Any] = json.loads(prompt.rpartition("\ninput: ")[2].removesuffix("Output: "))
    return found


def _names(given: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(LEARNED.findall(given["text"])))


def _question(given: dict[str, Any]) -> dict[str, str]:
    contexts = given["context"] if isinstance(given["context"], list) else [given["context"]]
    terms = given.get("themes") or [given["term"]]
    told = [_sentence(text, terms) for text in contexts]
    words = [str(word) for one in told for word in re.findall(r"\b[a-z]{5,}", one)[:3]]
    return {"query": f"What of {' '.join(terms)} and {' '.join(words)}?", "answer": " ".join(told)}


def _sentence(text: str, terms: list[str]) -> str:
    sentences = [str(one).strip() for one in re.findall(r"[^.#\n]+\.", text) if len(one.split()) > 4]
    return next((one for one in sentences if any(term in one for term in terms)), sentences[0])


_ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "StringIO": lambda given: {"text": given["text"][:200]},
    "ThemesAndConcepts": lambda given: {"output": _names(given)},
    "NEROutput": lambda given: {"entities": _names(given)},
    "Persona": lambda given: {"name": f"Reader of {given['text'][:12]}", "role_description": "reads"},
    "PersonaThemesMapping": lambda given: {
        "mapping": {one["name"]: given["themes"] for one in given["personas"]},
    },
    "ConceptCombinations": lambda given: {"combinations": [[one[0] for one in given["lists_of_concepts"]]]},
    "GeneratedQueryAnswer": _question,
}
