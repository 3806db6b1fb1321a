"""A notice as Slack's Block Kit, within its limits and with nothing in it that Slack would act upon.

Limits: https://docs.slack.dev/reference/block-kit/blocks (50 blocks; header 150; section 3000; 10 fields of 2000).
The text of all blocks together has a limit too that is written nowhere (`msg_blocks_too_long`; between 11,000 and
13,000 characters were refused): what is made here stays below 9,000.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from ragwatch.alerts import text, wording
from ragwatch.corpus.identity import Json
from ragwatch.health.incidents import Event, Excerpt, Notice

HEADER = 150
FALLBACK = 300
PLAIN = 3000
_TITLE = 600
_FIELD = 160
_FIELDS = 8
_FACTS, _QUERIES, _COMMAND = 1800, 600, 800
_EXCERPT, _EXCERPTS = 380, 3
_NAME = 120

Block = dict[str, Json]


def escape(value: str) -> str:
    """Escape Slack's three control characters: without them there is no mention, link or channel in a text."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def payload(notice: Notice) -> dict[str, Json]:
    """Return the message: blocks, and the text that notifications and screen readers take instead."""
    blocks: list[Json] = [*_blocks(notice)]
    return {"text": fallback(notice), "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def plain_payload(notice: Notice) -> dict[str, Json]:
    """Return the message without any block, for when blocks are refused."""
    shown = text.fit(wording.plain_text(notice), PLAIN, escape)
    return {"text": shown, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def fallback(notice: Notice) -> str:
    """Return the message in a line."""
    return text.fit(wording.headline(notice), FALLBACK, escape)


def _blocks(notice: Notice) -> Iterator[Block]:
    title = text.line(notice.title)
    headed = f"{wording.symbol(notice)} {wording.head(notice)} · {title}"
    yield {"type": "header", "text": _plain(headed, HEADER)}
    if text.width(escape(headed)) > HEADER:
        yield {"type": "section", "text": _plain(title, _TITLE)}
    yield {"type": "section", "fields": [*_fields(notice)]}
    if notice.facts:
        yield _section(f"*{_evidence(notice)}*\n{_fence(notice.facts, _FACTS)}")
    for excerpt in notice.excerpts[:_EXCERPTS]:
        yield from _excerpt(excerpt)
    if len(notice.excerpts) > _EXCERPTS:
        yield _section(f"… and {len(notice.excerpts) - _EXCERPTS:,} more documents")
    if notice.queries:
        yield _section(f"*Golden queries hit*\n{_fence(notice.queries, _QUERIES)}")
    if notice.command:
        yield _section(f"*What to type*\n```\n{text.fit(_inert(text.code(notice.command)), _COMMAND, escape)}\n```")
    yield {"type": "context", "elements": [*_footer(notice)]}


def _fields(notice: Notice) -> Iterator[Json]:
    """Return what a person looks for first; severity in a word, whatever the colours of the screen."""
    yield _mrkdwn(f"*State*\n{escape(wording.state(notice))}")
    over = wording.is_over(notice)
    yield _mrkdwn(f"*Severity*\n{'was ' if over else ''}{notice.severity.label}")
    yield _mrkdwn(f"*Since*\n{_moment(notice.since)}")
    if over:
        yield _mrkdwn(f"*Resolved*\n{_moment(notice.resolved or notice.at)}")
    yield _mrkdwn(f"*Collection*\n{_value(notice.collection)}")
    named = [("Incident", notice.incident), ("Cause", notice.cause), *notice.labels]
    for name, value in islice(((name, value) for name, value in named if value), _FIELDS - 4):
        yield _mrkdwn(f"*{_name(name)}*\n{_value(value)}")


def _name(name: str) -> str:
    """Return the name of a label with nothing but letters and digits in it: bold text has no other protection."""
    plain = " ".join("".join(each if each.isalnum() else " " for each in name[:_NAME]).split())
    return text.isolated(plain) or "label"


def _evidence(notice: Notice) -> str:
    if notice.event is Event.DIGEST:
        return "Incidents"
    return "Evidence, as last seen" if wording.is_over(notice) else "Evidence"


def _footer(notice: Notice) -> Iterator[Json]:
    yield _mrkdwn(f"ragwatch · {_moment(notice.at)}")
    link = wording.link_of(notice)
    if link:
        yield _mrkdwn(f"<{escape(link)}|Status page>")


def _excerpt(excerpt: Excerpt) -> Iterator[Block]:
    yield _section(f"*Document* {_value(excerpt.document, 2 * _NAME)}")
    if excerpt.before:
        yield _section(f"*Before*\n{_fence([excerpt.before], _EXCERPT)}")
    if excerpt.after:
        yield _section(f"*After*\n{_fence([excerpt.after], _EXCERPT)}")


def _fence(values: Sequence[str], limit: int) -> str:
    """Return lines in a code block, in which no formatting is looked for; as many as fit, and how many do not."""
    kept: list[str] = []
    room = limit
    for number, value in enumerate(values):
        shown = text.fit(_inert(text.lines(value)), min(limit, max(room, 0)) or 1, escape)
        if number and text.width(shown) > room - 40:
            kept.append(f"… and {len(values) - number:,} more")
            break
        kept.append(shown)
        room -= text.width(shown) + 1
    return "```\n" + "\n".join(kept) + "\n```"


def _value(value: str, limit: int = _FIELD) -> str:
    """Return a value as code, in which no formatting is looked for."""
    return f"`{text.fit(_inert(text.line(value)) or '-', limit, escape)}`"


def _inert(value: str) -> str:
    """Replace what would end code by a letter that looks like it."""
    return value.replace("`", "ˋ")


def _moment(when: datetime) -> str:
    """Return a time that Slack shows in each reader's time zone."""
    return f"<!date^{int(when.timestamp())}^{{date_short_pretty}} {{time}}|{wording.moment(when)}>"


def _plain(value: str, limit: int) -> dict[str, Json]:
    return {"type": "plain_text", "text": text.fit(value, limit, escape), "emoji": False}


def _mrkdwn(value: str) -> dict[str, Json]:
    # verbatim: no address, channel or name in it is made into a link.
    return {"type": "mrkdwn", "text": value, "verbatim": True}


def _section(value: str) -> Block:
    return {"type": "section", "text": _mrkdwn(value)}
