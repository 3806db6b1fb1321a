"""The outbox and its channels as text for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from ragwatch.corpus.identity import Json
from ragwatch.render.plain import Text
from ragwatch.render.text import ago
from ragwatch.words.json_text import json_text
from ragwatch.words.text import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from ragwatch.app.alerts import OutboxView, Trial
    from ragwatch.ports.incidents import Message

SHOWN_ID = 12
_STYLE = {"waiting": "yellow", "sent": "green", "failed": "bold red"}


def trials_text(tests: Sequence[Trial]) -> RenderableType:
    """Return what each channel answered; a failure is followed by what to do."""
    parts: list[RenderableType] = []
    for test in tests:
        word, style = ("taken", "green") if test.taken else ("failed", "bold red")
        parts.append(Text.assemble((f"{word:8}", style), f"{test.channel}  {test.answer}"))
        if test.hint:
            parts.append(Text(f"{'':8}next: {test.hint}", style="dim"))
    return Group(*parts)


def outbox_text(view: OutboxView) -> RenderableType:
    """Return the channels that do not work, and the messages, newest first."""
    parts: list[RenderableType] = [*_channels(view)]
    if not view.messages:
        return Group(*parts, Text("No messages."))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("message", "channel", "state", "created", "what", "tried"):
        table.add_column(name, overflow="fold")
    for message in view.messages:
        table.add_row(
            message.id[:SHOWN_ID],
            one_line(message.channel),
            Text(message.state, _STYLE[message.state]),
            ago(message.created, view.now),
            one_line(f"{message.event}: {message.notice.title}"),
            one_line(_tried(message, view.now)),
        )
    parts.append(table)
    if any(message.state == "failed" for message in view.messages):
        parts.append(Text.assemble("Send a failed one again: ", ("ragwatch alerts retry MESSAGE", "bold")))
    return Group(*parts)


def _channels(view: OutboxView) -> Iterable[RenderableType]:
    for name, circuit in view.circuits.items():
        if circuit.closed:
            then = (
                f"once mended: ragwatch alerts test {name}"
                if circuit.permanent
                else f"tried again {_when(circuit.retry_at)}"
            )
            yield Text(f"CLOSED  channel {name}: {circuit.reason}; {then}", style="bold red")
        elif circuit.failures:
            yield Text(f"BUSY  channel {name}: {circuit.reason}; tried again {_when(circuit.retry_at)}", style="yellow")


def _tried(message: Message, now: datetime) -> str:
    if message.state == "sent":
        return f"sent {ago(message.sent, now)}" if message.sent else "sent"
    if message.state == "failed":
        return message.error
    if message.attempts:
        return f"{message.attempts} times, next {_when(message.due)}: {message.error}"
    return f"not before {_when(message.due)}" if message.due > now else "not yet"


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "now"


def preview_text(shown: Sequence[tuple[str, str, Json]]) -> RenderableType:
    """Return what each channel would be sent."""
    parts: list[RenderableType] = []
    for name, kind, payload in shown:
        parts.append(Text(f"channel {name}, {kind}:", style="bold"))
        said = json_text(payload, indent=2) if payload is not None else "nothing"
        parts += [Text(line) for line in said.split("\n")]
    return Group(*parts)
