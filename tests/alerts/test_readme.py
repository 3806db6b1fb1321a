"""What the page on alerts says: the schema, the check of the signature, the picture of a message."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ragwatch.alerts import open_channel
from ragwatch.alerts.webhook import SIGNATURE, body_of, signature
from ragwatch.health.incidents import Event
from tests.alerts.notices import STALE, message, settings
from tests.servers.receiver import Receiver

SECTION = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
KINDS = {"string": str, "object": dict, "array": list, "boolean": bool, "null": type(None)}


def block(language: str, holding: str) -> str:
    fenced: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", SECTION, flags=re.MULTILINE | re.DOTALL)
    return next(text for text in fenced if holding in text)


@pytest.fixture
def is_ours(monkeypatch: pytest.MonkeyPatch) -> Any:
    found: dict[str, Any] = {}
    exec(block("python", "def is_ours"), found)
    monkeypatch.setattr(found["time"], "time", STALE.at.timestamp)
    return found["is_ours"]


def test_the_signature_check_takes_what_is_sent_and_nothing_else(is_ours: Any, receiver: Receiver) -> None:
    open_channel(settings("webhook", receiver.url, token="the key")).send(message(), now=STALE.at)
    header, body = receiver.received[0].headers[SIGNATURE], receiver.received[0].body
    assert is_ours(header, body, "the key")
    assert not is_ours(header, body + b" ", "the key")
    assert not is_ours(header, body, "another key")
    old = signature("the key", body, int(STALE.at.timestamp()) - 3600)
    assert not is_ours(old, body, "the key")


@pytest.mark.parametrize("event", list(Event))
def test_the_schema_is_that_of_what_is_sent(event: Event) -> None:
    schema = json.loads(block("json", "$schema"))
    body = body_of(message(event))
    assert sorted(schema["required"]) == sorted(schema["properties"]) == sorted(body)
    for name, rule in schema["properties"].items():
        if "const" in rule:
            assert body[name] == rule["const"]
        elif "enum" in rule:
            assert body[name] in rule["enum"]
        else:
            kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
            assert isinstance(body[name], tuple(KINDS[kind] for kind in kinds))
    assert set(schema["properties"]["event"]["enum"]) == set(Event)


def test_the_picture_is_that_of_a_message() -> None:
    said = json.dumps(open_channel(settings("slack")).payload(message(), now=STALE.at), ensure_ascii=False)
    for line in block("text", "ERROR").splitlines()[:1]:
        assert line in said
    for words in ("revision f699bb1f → b5023892", "ragwatch reindex --source wiki", "How long can I claim a refund?"):
        assert words in said
        assert words in SECTION
