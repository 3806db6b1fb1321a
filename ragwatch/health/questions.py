"""From a statement or a heading to the question that it answers, by rules of English grammar. Pure.

No rule needs a dictionary of verbs: questions are made by moving an auxiliary ("may", "is") in front of its subject,
by turning a condition into "What happens if …", or by asking about a name. Where no rule fits, there is no question.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ragwatch.health.english import (
    AUXILIARIES,
    CLAUSE_WORDS,
    NOT_SUBJECTS,
    NUMBER_WORDS,
    PREPOSITIONS,
    PRONOUNS,
    STOP_WORDS,
    content_words,
    plain,
)

_NUMBER = rf"(?:\d[\d.,]*|a|an|half an?|{'|'.join(sorted(NUMBER_WORDS))})"
_AMOUNT = r"(?:(?:at (?:most|least)|up to|about|around|only|no (?:more|longer|less) than|more than|less than) )?"
_UNIT = r"(?:(?:working |calendar |whole |full )?(?:second|minute|hour|day|week|month|year|night)s?)"
_SPAN = re.compile(
    rf",? ?\b(for|within|after|every) ({_AMOUNT}{_NUMBER} {_UNIT})\b(?: (?:at the )?(?:most|least|latest))?", re.I
)
_ONLY_SPAN = re.compile(rf"^({_AMOUNT}{_NUMBER} {_UNIT})\b", re.I)
_ASKED_SPAN = {"for": "How long", "within": "How soon", "after": "After how long", "every": "How often"}
_TAIL = re.compile(r",? (when|if|unless|until|once|as soon as|because|so that|whenever) (?=\S+ \S)", re.I)
_TAIL_ASKED = {"because": "Why", "so that": "Why", "until": "Until when"}
_CONDITION = re.compile(r"^(if|when|whenever|once|unless) ([^,;:]{8,120}), (?!and |or )", re.I)
_DEFINITION = re.compile(
    r"^((?:(?:a|an|the) )?[^\s,;:()]+(?: [^\s,;:()]+){0,4}) (is|are|means|stands for|refers to) "
    r"((?:an?|the|one|any|every|what|how|where|when|those|all|slang)\b.*)$",
    re.I,
)
_HAS = re.compile(
    rf"^([^,;:]{{3,60}}) (has|have) ({'|'.join(sorted(NUMBER_WORDS))}|\d[\d.,]*) ([^\d,;:]{{3,40}})", re.I
)
_PARTS = re.compile(r", |[;–—]|: | - | (?:and|or|but)\b")
_LABEL = re.compile(r"^[A-Z]{4,}(?: [A-Z]{2,})*:? +(?=[A-Z])")
"""BACKGROUND, RESULTS: a section's name that ran into its first sentence."""
_CUT = re.compile(rf" (?={'|'.join(('in', 'from', 'for', 'on', 'at', 'with', 'by', 'since', 'within', 'between'))} )")


class Question(NamedTuple):
    """A question, and the rule that made it."""

    text: str
    rule: str


@dataclass(frozen=True)
class Wording:
    """What is known of a document's language: the words that keep their capitals, and what it is about."""

    names: frozenset[str] = frozenset()
    topic: frozenset[str] = frozenset()
    """Content words of its title and headings."""

    def lower(self, text: str) -> str:
        """Return a sentence's beginning as it stands inside one: names and abbreviations keep their capitals."""
        first, space, rest = text.partition(" ")
        if first.lower() in STOP_WORDS and first != "I":
            return first.lower() + space + rest
        kept = first in self.names or any(one.isupper() or one.isdigit() for one in first[1:]) or len(first) == 1
        return text if kept else first[:1].lower() + first[1:] + space + rest


def questions_of(sentence: str, wording: Wording) -> Iterator[Question]:
    """Yield the questions that a statement answers, best rule first; of a rule, the longer first.

    A statement is a whole sentence of at most 45 words. Markup is taken off, and what stands in brackets.
    """
    text = _LABEL.sub("", plain(sentence))
    if not re.match(r"[A-Z0-9\"“(]", text) or not text.endswith((".", "!")) or len(text.split()) > 45:
        return
    text = re.sub(r" ?\([^()]*\)", "", text).rstrip(".!").strip()
    for rule in (_condition, _definition, _count, _inversion):
        for made in rule(text, wording):
            if reads_well(made.text):
                yield made


def _condition(text: str, wording: Wording) -> Iterator[Question]:
    found = _CONDITION.match(text)
    if not found or len(content_words(found[2])) < 2:
        return
    # "When cultured in milk": a clause without a subject of its own.
    if not found[2].split(maxsplit=1)[0].endswith(("ed", "ing", "ly")):
        yield Question(f"What happens {found[1].lower()} {wording.lower(found[2])}?", "condition")


def _definition(text: str, wording: Wording) -> Iterator[Question]:
    found = _DEFINITION.match(text)
    if not found:
        return
    subject, verb = wording.lower(found[1]), found[2].lower()
    words, meaning = set(subject.lower().split()), set(content_words(subject))
    if words & (PRONOUNS | CLAUSE_WORDS | AUXILIARIES | NOT_SUBJECTS) or not meaning or meaning <= NUMBER_WORDS:
        return
    # "The difference is …" defines something of its own page only; "the canopy", on the page about it, is named.
    if subject.startswith("the ") and not meaning & wording.topic:
        return
    asked = f"What {verb} {subject}?"
    if verb not in ("is", "are"):
        asked = f"What does {subject} {'mean' if verb == 'means' else verb.replace('s ', ' ', 1)}?"
    yield Question(asked, "definition")


def _count(text: str, wording: Wording) -> Iterator[Question]:
    found = _HAS.match(text)
    if not found or text[found.end() :][:1].isdigit() or not _is_subject(found[1].split()):
        return
    counted = re.split(rf" (?:{'|'.join(sorted(PREPOSITIONS))}|and|that|which|is|are)\b", found[4])[0].strip()
    if content_words(counted) and not counted.endswith(("er", "est")):
        verb = "does" if found[2].lower() == "has" else "do"
        yield Question(f"How many {counted} {verb} {wording.lower(found[1])} have?", "count")


def _inversion(text: str, wording: Wording) -> Iterator[Question]:
    words = text.split()
    place = next((at for at, word in enumerate(words[:9]) if word in AUXILIARIES), 0)
    subject, rest = words[:place], " ".join(words[place + 1 :])
    if not rest or not _is_subject(subject):
        return
    auxiliary = "can" if words[place] == "cannot" else words[place]
    negative = words[place] == "cannot" or rest.startswith(("not ", "never "))
    rest = re.sub(r"^(not|never)\b[ ,:;]*", "", rest)
    yield from _asked(f"{auxiliary} {wording.lower(' '.join(subject))}", rest, negative=negative)


def _asked(front: str, rest: str, *, negative: bool) -> Iterator[Question]:
    """Ask for the one part of a statement that a person would not know: a time, a condition, a reason."""
    whole = re.split(r"; |, or |, and ", rest)[0]
    span, tail = _SPAN.search(whole), _TAIL.search(whole)
    if tail and (not span or tail.start() < span.start()):
        wanted = _TAIL_ASKED.get(tail[1].lower(), "When")
        main = _main(whole[: tail.start()])
        yield Question(_joined(wanted, front, "not" if negative else "", main), "clause")
    elif span and not negative:
        after = whole[span.end() : tail.start() if tail else None]
        main = _main(f"{whole[: span.start()]} {'' if after.startswith(' of ') else after}")
        yield Question(_joined(_ASKED_SPAN[span[1].lower()], front, main), "time")
    elif _ONLY_SPAN.match(whole) and front.split(maxsplit=1)[0] in ("is", "was"):
        yield Question(_joined("How long", front), "time")
    else:
        for main in _shortened(_main(whole)):
            # Two words are too few to know which bay, or whose token.
            if len(content_words(f"{front} {main}")) >= 3:
                yield Question(_capital(_joined(front, main)), "yes or no")


def _main(rest: str) -> str:
    """Return a statement's rest up to its first comma, dash or coordination."""
    main = _PARTS.split(" ".join(rest.split()), maxsplit=1)[0].strip(" ,")
    return re.sub(r"\s*\bbetween\b[^?]*$", "", main)


def _shortened(main: str) -> Iterator[str]:
    """Yield a predicate, then the same with fewer of the phrases at its end."""
    ends = [len(main), *(cut.start() for cut in reversed(list(_CUT.finditer(main))))]
    yield from (main[:end] for end in ends if end and main[:end].rsplit(maxsplit=1)[-1] not in PREPOSITIONS)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part).strip(" ,") + "?"


def _is_subject(words: Sequence[str]) -> bool:
    """Say whether these words are one plain subject, with no clause and no open reference in it."""
    lowered = [word.lower() for word in words]
    if lowered == ["you"]:
        return True
    if not lowered or len(lowered) > 7 or lowered[0] in PREPOSITIONS | NUMBER_WORDS or lowered[0].isdigit():
        return False
    if lowered[-1] in ("and", "or") or "you" in lowered or any(set(word) & set(',:;"“”') for word in lowered):
        return False
    if set(lowered) & (PRONOUNS | CLAUSE_WORDS | AUXILIARIES | NOT_SUBJECTS):
        return False
    return bool(content_words(" ".join(words)))


def reads_well(question: str) -> bool:
    """Say whether a question can be understood alone: not too short or long, and a name before any pronoun."""
    words = [word.strip("?,'\"").lower() for word in question.split()]
    named = content_words(question)
    least = 1 if words[:2] in (["what", "is"], ["what", "are"]) else 2
    if len(words) > 24 or len(named) < least or re.search(r"[|<>{}\[\]]", question):
        return False
    if question.count('"') % 2 or question.count("(") != question.count(")"):
        return False
    if set(words) & {"this", "these", "those", "such", "former", "latter", "below", "above"}:
        return False
    passed = STOP_WORDS - PRONOUNS | {"i", "we", "happens", "read", "know", "say"}
    return next((word for word in words[1:] if word not in passed), "") not in PRONOUNS


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
