"""Incidents, transitions and notices out of the JSON that their `to_json` made.

All three take what reads ISO 8601 with its zone, since what is pure has no clock module of its own, and raise
`KeyError`, `TypeError` or `ValueError` where the value is not one.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Excerpt, Incident, Notice, Phase, Problem, Transition

if TYPE_CHECKING:
    from datetime import datetime

ReadTime = Callable[[str], "datetime"]


def incident_from_json(value: Mapping[str, Json], time: ReadTime) -> Incident:
    problem = Problem(
        cause=_text(value["cause"]),
        labels=_labels(value["labels"]),
        severity=_severity(value["severity"]),
        summary=_text(value["summary"]),
        size=_number(value["size"]),
        facts=_texts(value["facts"]),
        excerpts=_excerpts(value["excerpts"]),
        queries=_texts(value["queries"]),
        command=_text(value["command"]),
        needs=_text(value["needs"]),
        because=_texts(value["because"]),
    )
    return Incident(
        id=_text(value["id"]),
        collection=_text(value["collection"]),
        fingerprint=_text(value["fingerprint"]),
        problem=problem,
        phase=Phase(_text(value["phase"])),
        first_seen=time(_text(value["first_seen"])),
        last_seen=time(_text(value["last_seen"])),
        opened=_time(value["opened"], time),
        resolved=_time(value["resolved"], time),
        sightings=_number(value["sightings"]),
        misses=_number(value["misses"]),
        reopened=_number(value["reopened"]),
        suppressed_by=_text(value["suppressed_by"]),
        told=_time(value["told"], time),
        told_size=_number(value["told_size"]),
        told_severity=None if value["told_severity"] is None else _severity(value["told_severity"]),
        seen_by=_texts(value["seen_by"]),
        acknowledged=_time(value["acknowledged"], time),
        acknowledged_by=_text(value["acknowledged_by"]),
        snoozed_until=_time(value["snoozed_until"], time),
        version=_number(value["version"]),
    )


def transition_from_json(value: Mapping[str, Json], time: ReadTime) -> Transition:
    return Transition(
        collection=_text(value["collection"]),
        subject=_text(value["subject"]),
        event=Event(_text(value["event"])),
        at=time(_text(value["at"])),
        facts=_object(value["facts"]),
    )


def notice_from_json(value: Mapping[str, Json], time: ReadTime) -> Notice:
    return Notice(
        event=Event(_text(value["event"])),
        collection=_text(value["collection"]),
        severity=_severity(value["severity"]),
        title=_text(value["title"]),
        at=time(_text(value["at"])),
        since=time(_text(value["since"])),
        incident=_text(value["incident"]),
        cause=_text(value["cause"]),
        labels=_labels(value["labels"]),
        resolved=_time(value["resolved"], time),
        facts=_texts(value["facts"]),
        excerpts=_excerpts(value["excerpts"]),
        queries=_texts(value["queries"]),
        command=_text(value["command"]),
        link=_text(value["link"]),
    )


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _number(value: Json) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _object(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not an object")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(_text(one) for one in _list(value))


def _labels(value: Json) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, _text(label)) for name, label in _object(value).items()))


def _severity(value: Json) -> Severity:
    return Severity[_text(value).upper()]


def _excerpts(value: Json) -> tuple[Excerpt, ...]:
    found = map(_object, _list(value))
    return tuple(Excerpt(_text(one["document"]), _text(one["before"]), _text(one["after"])) for one in found)


def _time(value: Json, time: ReadTime) -> "datetime | None":
    return None if value is None else time(_text(value))
