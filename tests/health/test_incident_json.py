"""Incidents, transitions and notices come back from JSON as they were."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.findings import Severity
from ragwatch.health.incident_json import incident_from_json, notice_from_json, transition_from_json
from ragwatch.health.incidents import Event, Excerpt, Incident, Notice, Phase, Problem, Transition

texts = st.text(st.characters(), max_size=8)
times = st.datetimes(timezones=st.just(UTC))
numbers = st.integers(-(2**60), 2**60)
lists = st.lists(texts, max_size=3).map(tuple)
labels = st.dictionaries(texts, texts, max_size=3).map(lambda found: tuple(sorted(found.items())))
excerpts = st.lists(st.builds(Excerpt, texts, texts, texts), max_size=2).map(tuple)
severities = st.sampled_from(Severity)

OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": texts,
    "int": numbers,
    "datetime": times,
    "datetime | None": st.none() | times,
    "Severity": severities,
    "Severity | None": st.none() | severities,
    "Phase": st.sampled_from(Phase),
    "Event": st.sampled_from(Event),
    "tuple[str, ...]": lists,
    "tuple[tuple[str, str], ...]": labels,
    "tuple[Excerpt, ...]": excerpts,
    "Mapping[str, Json]": st.dictionaries(texts, st.none() | st.booleans() | texts | numbers | st.lists(texts)),
}


def name_of(annotation: Any) -> str:
    """Return a field's type as it is written."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return annotation.__name__
    written = str(annotation)
    for module in ("collections.abc.", "ragwatch.health.findings.", "ragwatch.health.incidents."):
        written = written.replace(module, "")
    return "Mapping[str, Json]" if written.startswith("Mapping[str, ") else written


def made(kind: type) -> st.SearchStrategy[Any]:
    """Every field drawn: one that JSON forgets is found."""
    return st.builds(kind, **{field.name: OF_TYPE[name_of(field.type)] for field in fields(kind)})


OF_TYPE["Problem"] = made(Problem)


@given(made(Incident))
def test_an_incident_survives_json(incident: Incident) -> None:
    assert incident_from_json(json.loads(json.dumps(incident.to_json())), datetime.fromisoformat) == incident


@given(made(Transition))
def test_a_transition_survives_json(transition: Transition) -> None:
    assert transition_from_json(json.loads(json.dumps(transition.to_json())), datetime.fromisoformat) == transition


@given(made(Notice))
def test_a_notice_survives_json(notice: Notice) -> None:
    assert notice_from_json(json.loads(json.dumps(notice.to_json())), datetime.fromisoformat) == notice


NOTICE = Notice(
    Event.OPENED, "docs", Severity.ERROR, "t", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
)


@pytest.mark.parametrize(
    "change",
    [
        {"event": "odd"},
        {"severity": "odd"},
        {"title": 3},
        {"at": "tomorrow"},
        {"at": None},
        {"labels": []},
        {"labels": {"a": 1}},
        {"facts": "abc"},
        {"excerpts": [{}]},
        {"queries": [None]},
    ],
    ids=str,
)
def test_what_is_no_notice_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        notice_from_json({**NOTICE.to_json(), **change}, datetime.fromisoformat)
