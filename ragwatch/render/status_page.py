"""The daemon's status page: one self-contained HTML file, readable on a telephone, light and dark. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from ragwatch.health.findings import Severity, Status
from ragwatch.health.incidents import Incident
from ragwatch.render.plain import page_text
from ragwatch.render.text import ago, duration, number, outcome_text

if TYPE_CHECKING:
    from ragwatch.daemon.board import Board, JobLine


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one collection."""

    name: str
    attended: bool
    condition: str
    """In words: attended, or why not."""
    status: Status
    incidents: tuple[Incident, ...]
    board: Board | None


STYLE = """
:root{color-scheme:light dark;--ink:#1c2024;--dim:#60646c;--line:#d9d9e0;--back:#fcfcfd;--card:#fff;
--good:#1a7f4b;--bad:#c62a2f;--unsure:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--dim:#b0b4ba;--line:#363a3f;--back:#111113;--card:#18191b;
--good:#4cc38a;--bad:#ff8589;--unsure:#f0c000}}
*{box-sizing:border-box}body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}h1{font-size:1.25rem;margin:.25rem 0 1rem}h2{font-size:1.1rem;margin:0}
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:0 0 1rem}
.dim{color:var(--dim)}.good{color:var(--good)}.bad{color:var(--bad)}.unsure{color:var(--unsure)}
.state{font-weight:700;text-transform:uppercase;font-size:.85rem;margin-left:.5rem}
p{margin:.25rem 0;overflow-wrap:anywhere}
ul{list-style:none;margin:.75rem 0 0;padding:0}
li{border-top:1px solid var(--line);padding:.5rem 0;overflow-wrap:anywhere}
li p{margin:0}.job{display:grid;grid-template-columns:minmax(7rem,1fr) 3fr 3fr;gap:0 1rem}
@media(max-width:40rem){.job{grid-template-columns:1fr}}code{font-size:.9em;overflow-wrap:anywhere}
footer{color:var(--dim);font-size:.85rem}
"""

_TONE = {Status.HEALTHY: "good", Status.DEGRADED: "bad", Status.UNKNOWN: "unsure"}
_OUTCOME_TONE = {
    "done": "good",
    "failed": "bad",
    "incomplete": "unsure",
    "interrupted": "unsure",
    "not_measured": "unsure",
    "running": "dim",
}


def status_page(cards: Sequence[Card], now: datetime) -> str:
    """Return the page. Everything in it that was read from elsewhere is escaped."""
    body = "".join(_card(card, now) for card in cards)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta http-equiv="refresh" content="30">'
        f"<title>{_title(cards)}</title><style>{STYLE}</style></head><body><h1>ragwatch</h1>{body}"
        f"<footer>{now:%Y-%m-%d %H:%M:%S} UTC; read again every 30 seconds</footer></body></html>\n"
    )


def _title(cards: Sequence[Card]) -> str:
    incidents = sum(len(card.incidents) for card in cards)
    away = sum(not card.attended for card in cards)
    parts = [number(incidents, "incident")] if incidents else []
    parts += [f"{number(away, 'collection')} not attended"] if away else []
    return "ragwatch: " + (", ".join(parts) or "no incident")


def _card(card: Card, now: datetime) -> str:
    tone = _TONE[card.status]
    incidents = _incidents(card.incidents, now) if card.board or card.incidents else ""
    head = f'<h2>{page_text(card.name)}<span class="state {tone}">{page_text(str(card.status))}</span></h2>'
    calm = card.attended and card.condition == "attended"
    line = f'<p class="{"dim" if calm else "bad"}">{page_text(card.condition)}</p>'
    return f"<section>{head}{line}{_circuit(card, now)}{incidents}{_jobs(card.board, now)}</section>"


def _circuit(card: Card, now: datetime) -> str:
    circuit = card.board.circuit if card.board else None
    if circuit is None or not circuit.open or circuit.held_until is None:
        return ""
    until = f"next trial {_when(circuit.held_until, now)}"
    return (
        f'<p class="bad">Jobs are held back after {number(circuit.failures, "failure")} in a row; {until}: '
        f"{page_text(circuit.reason)}</p>"
    )


def _incidents(incidents: Iterable[Incident], now: datetime) -> str:
    rows = "".join(_incident(one, now) for one in sorted(incidents, key=lambda one: -one.problem.severity))
    return f"<ul>{rows}</ul>" if rows else '<p class="good">No incident is open.</p>'


def _incident(one: Incident, now: datetime) -> str:
    problem = one.problem
    tone = "bad" if problem.severity is Severity.ERROR else "unsure"
    told = "; acknowledged" if one.acknowledged else ""
    command = f"<p><code>{page_text(problem.command)}</code></p>" if problem.command else ""
    return (
        f'<li><p><b class="{tone}">{page_text(problem.severity.label)}</b> {page_text(problem.summary)}</p>'
        f'<p class="dim">{page_text(one.id[:8])}, since {ago(one.first_seen, now)}{told}</p>{command}</li>'
    )


def _jobs(board: Board | None, now: datetime) -> str:
    if board is None:
        return ""
    rows = "".join(_job(job, now) for job in board.jobs)
    broken = "".join(
        f'<li><p class="bad"><b>{page_text(one.file)}</b> is broken: {page_text(one.error)}</p></li>'
        for one in board.broken
    )
    return f"<ul>{rows}{broken}</ul>"


def _job(job: JobLine, now: datetime) -> str:
    last = '<span class="dim">never ran</span>'
    if job.last is not None:
        tone = _OUTCOME_TONE.get(job.last.outcome, "dim")
        last = f'<span class="{tone}">{page_text(outcome_text(job.last))}</span> {ago(job.last.started, now)}'
    missed = f'<span class="unsure"> {job.missed:,} missed in 30 days</span>' if job.missed else ""
    following = _when(job.next, now) if job.next else "never" if job.enabled else "disabled"
    if job.last is not None and job.last.outcome == "running":
        following = "when this run is over"
    words = f' <span class="dim">{page_text(job.schedule)}</span>' if job.enabled else ""
    return (
        f'<li class="job"><p><b>{page_text(job.name)}</b></p><p>last: {last}{missed}</p>'
        f"<p>next: {following}{words}</p></li>"
    )


def _when(moment: datetime, now: datetime) -> str:
    ahead = moment - now
    if ahead <= timedelta():
        return "now"
    return f"in {duration(ahead.total_seconds())}"
