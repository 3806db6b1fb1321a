"""The dead man's switch: called while all is well, and its address is never told."""

import logging

import pytest

from ragwatch.daemon.heartbeat import Heartbeat
from tests.cli.daemons import eventually
from tests.servers.stub_http import Answer, stub_server


def test_it_is_called_only_while_nothing_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    wrong = ["docs: job scan failed"]
    with stub_server(lambda method, path: Answer()) as switch, caplog.at_level(logging.WARNING):
        beat = Heartbeat(f"{switch.url}/planted-secret", 0.01, lambda: list(wrong))
        beat.start()
        eventually(lambda: "no heartbeat" in caplog.text, "nobody says that there is no heartbeat")
        assert switch.requests == []
        wrong.clear()
        eventually(lambda: switch.requests, "no heartbeat")
        beat.stop()
    assert "docs: job scan failed" in caplog.text


def test_a_switch_that_does_not_answer_is_no_leak(caplog: pytest.LogCaptureFixture) -> None:
    for address in ("http://127.0.0.1:9/planted-secret", "http://[planted-secret"):
        with caplog.at_level(logging.WARNING):
            Heartbeat(address, 1.0, list)._call()
    assert caplog.text.count("the heartbeat was not taken") == 2
    assert "planted-secret" not in caplog.text
