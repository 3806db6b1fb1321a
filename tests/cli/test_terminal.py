"""What stands on a terminal."""

import io
import sys
import time

import pytest
import typer

from ragwatch.cli.terminal import Terminal
from ragwatch.errors import ConfigError


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Not a fixture: pytest puts its own stderr in place again before the test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdin", Screen())
    made = Screen()
    monkeypatch.setattr("sys.stderr", made)
    return made


def test_no_bar_is_drawn_over_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    drawn: list[str] = []

    def answer(question: str, *, err: bool) -> bool:
        drawn.append(screen.getvalue())
        time.sleep(0.3)
        drawn.append(screen.getvalue())
        return True

    monkeypatch.setattr(typer, "confirm", answer)
    terminal = Terminal()
    with terminal.progress() as show:
        show("reading", 1, 2)
        assert terminal.confirm("Go on?", "add --yes")
    assert "reading" in drawn[0]
    assert drawn[0] == drawn[1]


def test_after_the_work_a_question_brings_no_bar_back(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    monkeypatch.setattr(typer, "confirm", lambda question, err: True)
    terminal = Terminal()
    with terminal.progress() as show:
        show("reading", 1, 2)
    before = screen.getvalue()
    assert terminal.confirm("Go on?", "add --yes")
    assert screen.getvalue() == before


def test_where_nobody_can_answer_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(ConfigError, match="no terminal") as raised:
        Terminal().confirm("Go on?", "add --yes")
    assert raised.value.hint == "add --yes"
