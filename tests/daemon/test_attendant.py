"""A daemon that cannot tell anybody is not well, and says so where it can still be heard."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragwatch.app import load
from ragwatch.corpus.identity import Json
from ragwatch.daemon import attendant
from ragwatch.daemon.attendant import Attendant, Stop
from ragwatch.daemon.board import Board
from ragwatch.daemon.circuit import Circuit
from ragwatch.daemon.pages import _ready
from ragwatch.errors import LeaseHeldError, StateError
from ragwatch.state import open_state
from ragwatch.stores.server_versions import standing_of


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), StateError("the database is damaged")])
def test_alerts_that_fail_hold_back_the_heartbeat_until_they_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    config = tmp_path / "ragwatch.toml"
    config.write_text(f'collection = "docs"\n[[sources]]\nname = "docs"\npath = "{tmp_path}"\n')
    errors: list[Exception] = [error]

    def tell(*_: object, **__: object) -> None:
        if errors:
            raise errors[0]

    monkeypatch.setattr(attendant, "tell", tell)
    stop = Stop()
    one = Attendant(config, "test", stop, first=load(config), secrets=lambda _: None)
    one.held, one.board = True, Board("docs", datetime(2026, 3, 1, tzinfo=UTC), (), (), (), Circuit(), None)
    thread = threading.Thread(target=one._tell)
    thread.start()
    try:
        one._tell_now.set()
        wait_for(lambda: bool(one.complaints(timedelta(minutes=5))))
        assert str(error) in one.complaints(timedelta(minutes=5))[0]
        assert str(error).encode() in _ready([one]).body
        errors.clear()
        one._tell_now.set()
        wait_for(lambda: not one.complaints(timedelta(minutes=5)))
        body = _ready([one]).body.strip()
        assert str(error).encode() not in body
        assert body.endswith(b"attended; unknown"), "nothing was looked at yet"
    finally:
        stop.asked.set()
        one._tell_now.set()
        thread.join(60)


@pytest.mark.parametrize("error", [RuntimeError("a fault of ours"), StateError("the database is damaged")])
def test_what_is_wrong_now_is_shown_and_not_who_had_the_collection_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    config = tmp_path / "ragwatch.toml"
    config.write_text(f'collection = "docs"\n[[sources]]\nname = "docs"\npath = "{tmp_path}"\n')
    one = Attendant(config, "test", Stop(), first=load(config), secrets=lambda _: None)
    errors = iter([LeaseHeldError("somebody has it"), error])
    shown: list[bytes] = []

    def session() -> None:
        found = next(errors, None)
        if found is None:
            one._stop.asked.set()
            return
        raise found

    monkeypatch.setattr(one, "_session", session)
    monkeypatch.setattr(one, "_pause", lambda seconds: shown.append(_ready([one]).body))
    one._attend()
    assert b"somebody has it" in shown[0]
    assert str(error).encode() in shown[1]
    assert b"somebody" not in shown[1]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_server_is_logged_once_and_again_when_it_is_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "ragwatch.toml"
    config.write_text(f'collection = "docs"\n[[sources]]\nname = "docs"\npath = "{tmp_path}"\n')
    one = Attendant(config, "test", Stop(), first=load(config), secrets=lambda _: None)
    ledger = open_state(f"sqlite:///{tmp_path / 'state.db'}")
    caplog.set_level(logging.INFO, "ragwatch.daemon")

    def scanned(version: str) -> None:
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=len(caplog.records))
        summary: dict[str, Json] = {"server": standing_of(version).to_json()}
        ledger.finish_run(ledger.start_run("scan", "docs", at), "done", summary, at)
        one._name_server(ledger, "docs")
        one._name_server(ledger, "docs")

    one._name_server(ledger, "docs")
    for version in ("1.17.0", "1.18.3", ""):
        scanned(version)
    ledger.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
    assert "8455" in caplog.messages[0]
    assert "next: upgrade the server to 1.17.1 or newer" in caplog.messages[0]
    assert caplog.messages[1:] == [
        "the collection is on Qdrant 1.18.3",
        "the collection is on Qdrant of an unknown version",
    ]
