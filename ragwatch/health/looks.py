"""A finished run as it was recorded, and what every run that came to its end says. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json
from ragwatch.health.causes import Cause
from ragwatch.health.findings import Finding
from ragwatch.health.incidents import Observation, Problem

if TYPE_CHECKING:
    from datetime import datetime

NAMED = 5
"""Findings that a problem names."""
_TYPED = re.compile(r"(?:^|: )(ragwatch [a-z]+(?: [a-z]+)?(?: --.+)?)$")


@dataclass(frozen=True, slots=True)
class Look:
    """A finished run, as it was recorded."""

    verb: str
    collection: str
    at: "datetime"
    """When it finished."""
    outcome: str
    summary: Mapping[str, Json]
    findings: Sequence[Finding] = ()
    lost: bool = False
    """Its findings are not kept any more: nothing can be said of what it saw."""

    @property
    def check(self) -> str:
        """What looked: a fast and a deep scan do not see the same."""
        return "deep_scan" if self.verb == "scan" and self.summary.get("mode") == "deep" else self.verb

    def observation(
        self,
        problems: Iterable[Problem] = (),
        causes: Iterable[str] = (),
        *,
        check: str = "",
        blind: frozenset[tuple[str, str]] = frozenset(),
        only: frozenset[tuple[str, str]] = frozenset(),
    ) -> Observation:
        return Observation(
            check or self.check, self.collection, self.at, tuple(problems), frozenset(causes), blind, only
        )


def worked(look: Look, *, encoder: bool = False) -> tuple[Observation, ...]:
    """Say that the run reached what it needs."""
    reached = [look.observation(causes=[Cause.STORE_UNREACHABLE], check="store")]
    if encoder:
        reached.append(look.observation(causes=[Cause.ENCODER_UNREACHABLE], check="encoder"))
    only = frozenset({("check", look.check)})
    return (*reached, look.observation(causes=[Cause.CHECK_FAILED], only=only))


def advised(problem: Problem, words: str, otherwise: str) -> Problem:
    """Return the problem with what there is to type, and with advice that cannot be typed among its facts.

    What is typed is the command that the words are, or end with; where there is none, `otherwise`.
    """
    found = _TYPED.search(words)
    command = found[1] if found else otherwise
    advice = (words,) if words and words != command else ()
    return replace(problem, command=command, facts=(*problem.facts, *advice))


def number(value: int, noun: str) -> str:
    """Return "1 document", "2 documents"."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s"


def more(count: int) -> tuple[str, ...]:
    """Return the line that says how many of `count` are not named, none where all are."""
    return (f"and {count - NAMED:,} more",) if count > NAMED else ()


def json_object(value: Json) -> Mapping[str, Json]:
    """Return a JSON object, an empty one where the value is none."""
    return value if isinstance(value, dict) else {}
