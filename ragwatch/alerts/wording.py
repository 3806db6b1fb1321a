"""What a notice says, in words that every channel shares."""

from datetime import UTC, datetime
from typing import Final

from ragwatch.alerts import text
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Notice

_STATES: Final = {
    Event.SUSPECTED: "suspected",
    Event.OPENED: "open",
    Event.GREW: "open, has grown",
    Event.SHRANK: "open, has shrunk",
    Event.REPEATED: "still open",
    Event.SUPPRESSED: "explained by another incident",
    Event.ACKNOWLEDGED: "acknowledged",
    Event.SNOOZED: "snoozed",
    Event.RESOLVED: "resolved",
    Event.REOPENED: "open again",
    Event.FORGOTTEN: "gone before it was believed",
    Event.STATUS: "status changed",
    Event.DIGEST: "for information",
    Event.PROPOSED: "awaiting consent",
    Event.TEST: "test",
}
_HEADS: Final = {
    Event.RESOLVED: "RESOLVED",
    Event.ACKNOWLEDGED: "ACKNOWLEDGED",
    Event.SNOOZED: "SNOOZED",
    Event.DIGEST: "DIGEST",
    Event.PROPOSED: "PROPOSAL",
    Event.TEST: "TEST",
}
LATE_HEAD = "RESOLVED MEANWHILE"


def is_late(notice: Notice) -> bool:
    """Return whether what it tells of was over before it could be sent: it is no news then."""
    return notice.resolved is not None and notice.event is not Event.RESOLVED


def head(notice: Notice) -> str:
    """Return the one or two words that a message begins with."""
    if is_late(notice):
        return LATE_HEAD
    return _HEADS.get(notice.event, notice.severity.label.upper())


def state(notice: Notice) -> str:
    """Return where the incident is, in words."""
    if is_late(notice) and notice.resolved is not None:
        return f"was {_STATES[notice.event]}, resolved at {moment(notice.resolved)}: no action needed"
    return _STATES[notice.event]


def is_over(notice: Notice) -> bool:
    """Return whether what it tells of is over, as far as this notice knows."""
    return notice.event in (Event.RESOLVED, Event.FORGOTTEN) or is_late(notice)


def symbol(notice: Notice) -> str:
    """Return a coloured sign; the words beside it say the same."""
    if is_over(notice):
        return "🟢"
    return {Severity.ERROR: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}[notice.severity]


def moment(when: datetime) -> str:
    """Return a time as people read it everywhere."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def headline(notice: Notice) -> str:
    """Return the message in one line: what, how bad, where, since when."""
    return f"{head(notice)}: {text.line(notice.title)} ({text.line(notice.collection)}, since {moment(notice.since)})"


def plain_text(notice: Notice) -> str:
    """Return the whole notice as plain lines, for channels that refuse anything richer."""
    facts = [f"- {text.line(fact)}" for fact in notice.facts]
    queries = [f"- query: {text.line(query)}" for query in notice.queries]
    command = [f"Type: {text.code(notice.command)}"] if notice.command else []
    link = [link_of(notice)] if link_of(notice) else []
    # What to type and where to look come first: the end is what gets cut.
    return "\n".join([headline(notice), f"State: {state(notice)}", *command, *link, *facts, *queries])


def link_of(notice: Notice) -> str:
    """Return the link where it is an address of the web, with everything quoted that could end it; otherwise ""."""
    from urllib.parse import quote, urlsplit

    try:
        parts = urlsplit(notice.link.strip())
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return ""
    if not known or len(notice.link) > 1000:
        return ""
    return quote(notice.link.strip().encode("utf-8", "replace"), safe="%/:=&?~#+!$,;'@()*[]-._")
