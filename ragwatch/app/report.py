"""What is known of a collection over time, wired from a configuration: freshness, policy, report, and forgetting."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ragwatch.app import Settings, load, utc_now
from ragwatch.app.freshness import FreshnessReport, objectives_of
from ragwatch.app.incidents import follow, overdue_after
from ragwatch.app.policy import PolicyStatus, rules_of
from ragwatch.ports.incidents import Ledger
from ragwatch.totals import KIND as TOTALS
from ragwatch.totals import totals
from ragwatch.watching.freshness import measure_freshness
from ragwatch.wiring import DEFAULT_STATE, make_state

if TYPE_CHECKING:
    from ragwatch.report import Report

DAYS = 90


@contextmanager
def _followed(settings: Settings, now: datetime) -> Iterator[Ledger]:
    """Open the state database, with everything followed that has finished."""
    with closing(make_state(settings.config, settings.base, reading=True)) as ledger:
        follow(ledger, settings, now)
        yield ledger


def freshness_report(path: Path) -> FreshnessReport:
    """Measure freshness from the state database alone."""
    settings, now = load(path), utc_now()
    collection = settings.config.collection
    with _followed(settings, now) as ledger:
        numbers = measure_freshness(ledger, collection, objectives_of(settings.config), now)
    return FreshnessReport(collection, now, numbers)


def policy_status(path: Path) -> PolicyStatus:
    """Compute the level in force from the state database alone."""
    from ragwatch.policy import VERB, blocks, current_licence

    settings, now = load(path), utc_now()
    collection, rules = settings.config.collection, rules_of(settings.config.policy)
    with _followed(settings, now) as ledger:
        last = next(iter(ledger.runs(collection=collection, verb=VERB, limit=1)), None)
        current = current_licence(ledger, collection, rules)
        repair = next(iter(ledger.runs(collection=collection, verb="reindex", limit=1)), None)
        since = last and repair and repair.started >= last.started and repair.outcome == "done"
        forbidden = tuple(blocks(ledger, collection))
    return PolicyStatus(collection, rules, current, forbidden, last, now, repaired=bool(since))


def make_report(settings: Settings, now: datetime, *, days: int = DAYS) -> "Report":
    """Gather what the last `days` days say, from the state database alone."""
    from ragwatch.report import gather

    config = settings.config
    with _followed(settings, now) as ledger:
        return gather(
            ledger,
            config.collection,
            now=now,
            days=days,
            objectives=objectives_of(config),
            rules=rules_of(config.policy),
            overdue=overdue_after(config.daemon),
        )


def report_path(settings: Settings) -> Path:
    """Return where the report of a collection is written: beside the state database, where that is a file."""
    url = settings.config.state.url or DEFAULT_STATE
    _, _, place = url.partition(":///")
    beside = settings.base / place if url.startswith("sqlite") and place and place != ":memory:" else None
    folder = beside.parent if beside and not settings.config.state.url_env else settings.base / ".ragwatch"
    return folder / f"report-{settings.config.collection}.html"


def prune_history(settings: Settings, now: datetime, *, keep: timedelta | None = None) -> dict[str, int]:
    """Forget history older than `keep` (default: as configured), and return what was forgotten, by table.

    Nothing that an objective's window still needs is forgotten, and what metrics count is added up first.
    """
    config = settings.config
    kept = max(keep or config.daemon.keep, *(goal.window for goal in config.objectives), timedelta())
    with _followed(settings, now) as ledger:
        for collection in sorted({config.collection, *(note.key for note in ledger.notes(TOTALS))}):
            totals(ledger, collection, now)
        return ledger.prune(now - kept)
