"""The outbox as people read it; `python -m tests.render.test_alerts` writes the golden files anew."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import RenderableType

from ragwatch.alerts import open_channel
from ragwatch.alerts.circuit import Circuit
from ragwatch.app.alerts import OutboxView, Trial
from ragwatch.health.incidents import Event
from ragwatch.render.alerts import outbox_text, preview_text, trials_text
from ragwatch.render.plain import SafeConsole
from tests.alerts.notices import STALE, START, message, settings

GOLDEN = Path(__file__).parent / "golden"
NOW = START + timedelta(hours=6)
MESSAGES = (
    message(Event.RESOLVED, id="9d1f" * 8, at=NOW - timedelta(minutes=2)),
    message(
        id="77aa" * 8,
        channel="pager",
        attempts=4,
        due=NOW + timedelta(minutes=3),
        error="events.pagerduty.com: HTTP 503",
    ),
    message(
        Event.DIGEST, id="c0de" * 8, due=NOW + timedelta(hours=2), notice=replace(STALE, title="3 [bold]incidents")
    ),
    message(id="0bad" * 8, state="failed", error="hooks.slack.com: msg_too_long"),
    message(id="5e47" * 8, state="sent", sent=START + timedelta(minutes=21)),
)
CIRCUITS = {
    "archive": Circuit(True, "hooks.slack.com: channel_is_archived", NOW, NOW, 1, None, True, "f"),
    "pager": Circuit(False, "events.pagerduty.com: HTTP 503", NOW, NOW, 4, NOW + timedelta(minutes=1)),
    "slow": Circuit(True, "hook.example: no connection", NOW, NOW, 9, NOW + timedelta(minutes=7)),
    "team": Circuit(),
}
TESTS = (
    Trial("team", True, "answer ok"),
    Trial("archive", False, "hooks.slack.com: channel_is_archived", "mend it in Slack"),
)

SCREENS: dict[str, Callable[[], RenderableType]] = {
    "alerts_tested": lambda: trials_text(TESTS),
    "alerts_outbox": lambda: outbox_text(OutboxView("handbook", MESSAGES, CIRCUITS, NOW)),
    "alerts_outbox_empty": lambda: outbox_text(OutboxView("handbook", (), {"team": Circuit()}, NOW)),
    "alerts_preview": lambda: preview_text(
        [("team", "slack", open_channel(settings("slack")).payload(message(), now=NOW)), ("pager", "pagerduty", None)]
    ),
}


def rendered(name: str) -> str:
    console = SafeConsole(io.StringIO(), 100)
    console.print(SCREENS[name]())
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


@pytest.mark.parametrize("name", sorted(SCREENS))
def test_screens_are_as_reviewed(name: str) -> None:
    assert rendered(name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_titles_with_markup_are_shown_as_they_are() -> None:
    assert "[bold]" in rendered("alerts_outbox")


if __name__ == "__main__":
    for screen in SCREENS:
        (GOLDEN / f"{screen}.txt").write_text(rendered(screen), encoding="utf-8")
