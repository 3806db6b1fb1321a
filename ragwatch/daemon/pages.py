"""The pages of the daemon: alive, ready, metrics, status."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from ragwatch.app import utc_now
from ragwatch.daemon.attendant import Attendant
from ragwatch.daemon.web import Page, text_page
from ragwatch.errors import RagwatchError
from ragwatch.render.status_page import Card, status_page
from ragwatch.wiring import make_state


def pages_of(attendants: Sequence[Attendant]) -> Mapping[str, Callable[[], Page]]:
    """Return each path and what answers it."""
    return {
        "/healthz": lambda: _health(attendants),
        "/readyz": lambda: _ready(attendants),
        "/metrics": lambda: _metrics(attendants),
        "/": lambda: _status(attendants),
    }


def _health(attendants: Sequence[Attendant]) -> Page:
    """Alive: every thread turns. Says nothing about what is being watched."""
    stuck = [one.name for one in attendants if not one.turning()]
    return text_page(503, f"stuck: {', '.join(stuck)}") if stuck else text_page(200, "alive")


def _ready(attendants: Sequence[Attendant]) -> Page:
    """Ready: at least one collection is ours, its state database answers, its jobs are loaded.

    Says of each what its status is too; that decides nothing here.
    """
    held = [one.name for one in attendants if one.held and one.board is not None]
    lines = [f"{one.name}: {_condition(one)}; {one.status}" for one in attendants]
    return text_page(200 if held else 503, "\n".join(lines))


def _condition(one: Attendant) -> str:
    if one.held:
        return "; ".join(("attended", *(fact for fact in (one.trouble, one.untold) if fact)))
    return one.refused.fact if one.refused is not None else one.trouble or "starting"


def _metrics(attendants: Sequence[Attendant]) -> Page:
    from ragwatch.app.freshness import objectives_of
    from ragwatch.app.incidents import overdue_after
    from ragwatch.metrics import CONTENT_TYPE, Exposed, render

    with ExitStack() as open_states:
        exposed = []
        for one in attendants:
            if one.settings is None:
                continue
            config = one.settings.config
            try:
                ledger = make_state(config, one.settings.base)
            except RagwatchError:
                # The other collections' metrics are served; that this one's are absent is the alarm.
                continue
            open_states.callback(ledger.close)
            circuit = one.board.circuit.open if one.board is not None else None
            known = (ledger, config.collection, config.encoder.model, circuit, objectives_of(config))
            exposed.append(Exposed(*known, overdue_after(config.daemon)))
        return Page(200, render(exposed, utc_now()), CONTENT_TYPE)


def _status(attendants: Sequence[Attendant]) -> Page:
    cards = [Card(one.name, one.held, _condition(one), one.status, one.incidents, one.board) for one in attendants]
    return Page(200, status_page(cards, utc_now()).encode(), "text/html; charset=utf-8")
