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
from ragwatch.errors import StateError


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


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
