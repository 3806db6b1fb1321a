"""A daemon that cannot tell anybody is not well, and says so where it can still be heard."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ragwatch.app import load
from ragwatch.daemon import attendant
from ragwatch.daemon.attendant import Attendant, Stop
from ragwatch.daemon.board import Board
from ragwatch.daemon.circuit import Circuit
from ragwatch.daemon.pages import _ready
from ragwatch.errors import LeaseHeldError, StateError


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
        assert _ready([one]).body.strip().endswith(b"attended")
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
