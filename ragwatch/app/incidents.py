"""Incidents, wired from a configuration: catching up, listing, and what a person says of one."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from ragwatch.app import Settings, load, utc_now
from ragwatch.app.freshness import objectives_of
from ragwatch.app.pipelines import as_it_is
from ragwatch.app.policy import routes_of
from ragwatch.config.base import read_duration
from ragwatch.config.daemon import AlertsConfig, DaemonConfig, MaintenanceConfig
from ragwatch.cron import Cron
from ragwatch.errors import ConfigError, NotFoundError, OvertakenError, StateReadOnlyError
from ragwatch.health import lifecycle
from ragwatch.health.incidents import Incident, Phase, Transition
from ragwatch.health.lifecycle import Rules
from ragwatch.health.routing import Telling
from ragwatch.known import OVERDUE, KnownStatus, known_status
from ragwatch.ports.incidents import Ledger, Message
from ragwatch.watch import ATTEMPTS, WatchRules, watch
from ragwatch.wiring import make_state

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
"""Any time will do: looked back from, a line says how far its occurrences lie apart."""
OCCURRENCES = 60
"""Of a line, that are looked at: a line for weekdays rests at the weekend, one for hours of the day at night."""
MISSES = 3
"""Intervals that a check may be late, where one is configured."""


def watch_rules(settings: Settings) -> WatchRules:
    """Return what the configuration says about incidents, for `watch`."""
    config = settings.config
    alerts = config.alerts
    return WatchRules(
        rules=Rules(
            reopen_within=alerts.reopen_within,
            confirm=alerts.confirm,
            confirm_causes=dict(alerts.confirm_causes),
            clear=alerts.clear,
            flaps=alerts.flaps,
        ),
        telling=Telling(alerts.repeat_every, alerts.reopen_within, alerts.grow_by),
        routes=routes_of(alerts),
        quiet=_quiet(alerts.maintenance),
        digest=_digest(alerts),
        overdue=overdue_after(config.daemon),
        objectives=objectives_of(config),
        link=alerts.link or (f"http://{config.daemon.listen}/" if config.daemon.listen else ""),
    )


def overdue_after(daemon: DaemonConfig) -> dict[str, timedelta]:
    """Return for every check how old its newest conclusion may be."""
    found = dict(OVERDUE)
    for check in OVERDUE:
        schedule = daemon.schedule.get(check)
        if schedule is not None and not schedule.enabled:
            del found[check]
        elif schedule is not None and (schedule.every or schedule.cron):
            interval = schedule.every or _longest(schedule.cron or "", schedule.timezone or daemon.timezone)
            found[check] = MISSES * interval if interval else found[check]
    return found


def _longest(line: str, zone: str) -> timedelta | None:
    """Return the longest time between occurrences of a cron line; None where that cannot be said."""
    try:
        cron = Cron.parse(line)
    except ValueError:
        return None
    moments = [cron.before(LONG_AGO, ZoneInfo(zone))]
    while moments[-1] is not None and len(moments) <= OCCURRENCES:
        moments.append(cron.before(moments[-1] - timedelta(minutes=1), ZoneInfo(zone)))
    known = [one for one in moments if one is not None]
    return max((later - earlier for later, earlier in pairwise(known)), default=None)


def _quiet(windows: tuple[MaintenanceConfig, ...]) -> Callable[[datetime], datetime | None]:
    parsed = [(Cron.parse(one.cron), ZoneInfo(one.timezone), one.lasts) for one in windows]

    def until(now: datetime) -> datetime | None:
        begun = [(cron.before(now, zone), lasts) for cron, zone, lasts in parsed]
        ends = [began + lasts for began, lasts in begun if began is not None]
        return max((end for end in ends if end > now), default=None)

    return until


def _digest(alerts: AlertsConfig) -> Callable[[datetime], datetime]:
    hour, minute = alerts.digest_at.split(":")
    cron, zone = Cron.parse(f"{int(minute)} {int(hour)} * * *"), ZoneInfo(alerts.digest_timezone)
    return lambda now: cron.before(now, zone) or now


# --- what a person asks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IncidentList:
    """The incidents of a collection, and its status."""

    known: KnownStatus
    incidents: tuple[Incident, ...]
    """Newest first."""


@dataclass(frozen=True)
class IncidentHistory:
    """One incident with everything that happened to it, oldest first."""

    incident: Incident
    transitions: tuple[Transition, ...]
    messages: tuple[Message, ...]
    now: datetime


@contextmanager
def _caught_up(path: Path, *, reading: bool = True) -> Iterator[tuple[Ledger, Settings, datetime]]:
    """Open the state database, with everything followed that has finished."""
    settings, now = load(path), utc_now()
    with closing(make_state(settings.config, settings.base, reading=reading)) as ledger:
        follow(ledger, settings, now)
        yield ledger, settings, now


def follow(ledger: Ledger, settings: Settings, now: datetime) -> None:
    """Follow what has finished; where the state cannot be written, it is shown as whoever may write it left it."""
    with suppress(StateReadOnlyError):
        watch(ledger, settings.config.collection, watch_rules(settings), now)


def current_status(path: Path) -> KnownStatus:
    """Compute the status from the state database alone, after following what has finished."""
    with _caught_up(path) as (ledger, settings, now):
        known = known_status(ledger, settings.config.collection, now, overdue=overdue_after(settings.config.daemon))
        return replace(known, last={line: run and as_it_is(run) for line, run in known.last.items()})


def list_incidents(path: Path, *, ended: bool = False) -> IncidentList:
    """Return what is suspected or open, with `ended` also what is over."""
    with _caught_up(path) as (ledger, settings, now):
        collection = settings.config.collection
        known = known_status(ledger, collection, now, overdue=overdue_after(settings.config.daemon))
        return IncidentList(known, tuple(ledger.incidents(collection=collection, ended=ended)))


def incident_history(path: Path, prefix: str) -> IncidentHistory:
    """Return one incident with its history. Raises `NotFoundError` where no single id starts with `prefix`."""
    with _caught_up(path) as (ledger, settings, now):
        incident = _find(ledger, settings.config.collection, prefix)
        happened = ledger.transitions(subject=incident.id, limit=1000)
        messages = ledger.messages(thread=incident.id, limit=1000)
        return IncidentHistory(incident, tuple(reversed(happened)), tuple(reversed(messages)), now)


def acknowledge(path: Path, prefix: str, by: str, note: str = "") -> Incident:
    """Say that a person knows: it is not repeated any more, and told again only if it gets worse.

    Raises `NotFoundError`, and `ConfigError` where it is over.
    """
    return _change(path, prefix, lambda one, now: lifecycle.acknowledge(_living(one), now, by, note))


def snooze(path: Path, prefix: str, length: str, by: str, note: str = "") -> Incident:
    """Say nothing of it for a while, except that it is over. Raises as `acknowledge` does."""
    try:
        span = read_duration(length)
    except ValueError as error:
        raise ConfigError(f"a snooze of {length!r}: {error}") from None
    return _change(path, prefix, lambda one, now: lifecycle.snooze(_living(one), now, now + span, by, note))


def resolve(path: Path, prefix: str, by: str, note: str = "") -> Incident:
    """End it by hand; it comes back if it is still seen. Raises as `acknowledge` does."""
    return _change(path, prefix, lambda one, now: lifecycle.resolve_by_hand(_living(one), now, by, note))


def _change(path: Path, prefix: str, change: Callable[[Incident, datetime], tuple[Incident, Transition]]) -> Incident:
    """Change an incident, from its newest version, and queue what is to be told of it."""
    with _caught_up(path, reading=False) as (ledger, settings, now):
        for attempt in range(1, ATTEMPTS + 1):
            before = _find(ledger, settings.config.collection, prefix)
            changed, happened = change(before, now)
            changed = replace(changed, version=before.version + 1)
            try:
                ledger.commit([changed], [happened], now=now)
                break
            except OvertakenError:
                if attempt == ATTEMPTS:
                    raise
        watch(ledger, settings.config.collection, watch_rules(settings), now)
        return changed


def _find(ledger: Ledger, collection: str, prefix: str) -> Incident:
    found = ledger.incident(prefix) if prefix else None
    if found is None or found.collection != collection:
        raise NotFoundError(
            f"there is no one incident of {collection!r} whose id starts with {prefix!r}",
            hint="ragwatch incidents lists what is open, and with --all what is over",
        )
    return found


def _living(incident: Incident) -> Incident:
    if incident.phase is Phase.RESOLVED:
        raise ConfigError(
            f"incident {incident.id} is over since {incident.resolved:%Y-%m-%d %H:%M} UTC",
            hint=f"what happened to it: ragwatch incidents show {incident.id}",
        )
    return incident
