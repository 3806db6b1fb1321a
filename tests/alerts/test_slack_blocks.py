"""Whatever documents are called and say, Slack takes the message, and acts upon nothing in it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragwatch.alerts import slack_blocks
from ragwatch.health.findings import Severity
from ragwatch.health.incidents import Event, Excerpt, Notice
from tests.alerts.block_kit import check_message, texts_of
from tests.alerts.notices import STALE, START

HOSTILE = (
    "<!channel>",
    "<!here|here>",
    "@here @everyone #general",
    "<@U024BE7LH>",
    "<https://evil.example|Status page>",
    "https://evil.example/`x`",
    "[text](https://evil.example)",
    "*bold* _italic_ ~gone~ `code` ```fence```",
    "&lt;!channel&gt; &amp; &",
    ":rotating_light: :smile:",
    "> quoted\n> again",
    "\u202egnp.exe\u202c",
    "תקנון החזרות.md",
    "مستند 12 / 34",
    "a\u0000b\u0007c\u001b[31md\r\ne\u2028f",
    "zero\u200bwidth\ufefftag\U000e0041",
    "\ud800 lone \udfff",
    "👩‍👩‍👧‍👦" * 50,
    "x" * 10_000,
    "&" * 10_000,
    "<!channel>" * 2_000,
    "line\n" * 3_000,
    "```\n" * 500,
    "",
    " ",
)
TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(), max_size=60))
NOTICES = st.builds(
    Notice,
    event=st.sampled_from(list(Event)),
    collection=TEXT,
    severity=st.sampled_from(list(Severity)),
    title=TEXT,
    at=st.just(START),
    since=st.just(START - timedelta(hours=3)),
    incident=TEXT,
    cause=TEXT,
    labels=st.lists(st.tuples(TEXT, TEXT), max_size=12).map(tuple),
    resolved=st.none() | st.just(START),
    facts=st.lists(TEXT, max_size=60).map(tuple),
    excerpts=st.lists(st.builds(Excerpt, TEXT, TEXT, TEXT), max_size=8).map(tuple),
    queries=st.lists(TEXT, max_size=30).map(tuple),
    command=TEXT,
    link=TEXT | st.just("https://status.example/a|b>c?x=<y>&z#`"),
)


@settings(max_examples=100)
@given(NOTICES)
@example(replace(STALE, facts=("`" * 5000,), queries=("a",) * 400, excerpts=STALE.excerpts * 20))
@example(replace(STALE, event=Event.DIGEST, facts=("&" * 300,) * 300))
def test_every_notice_is_within_limits_and_inert(notice: Notice) -> None:
    check_message(slack_blocks.payload(notice))
    check_message(slack_blocks.plain_payload(notice))


@pytest.mark.parametrize("event", [Event.OPENED, Event.GREW, Event.RESOLVED, Event.DIGEST, Event.PROPOSED])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_texts_in_every_place_of_every_kind_of_notice(event: Event, text: str) -> None:
    hostile = Notice(
        event,
        text,
        Severity.ERROR,
        text,
        START,
        START,
        incident=text,
        cause=text,
        labels=((text, text),) * 3,
        facts=(text,) * 30,
        excerpts=(Excerpt(text, text, text),) * 5,
        queries=(text,) * 20,
        command=text,
        link=text,
    )
    check_message(slack_blocks.payload(hostile))
    check_message(slack_blocks.plain_payload(hostile))


def shown(notice: Notice) -> str:
    return "\n".join(texts_of(slack_blocks.payload(notice)["blocks"]))


def test_a_message_says_what_how_bad_since_when_the_evidence_and_what_to_type() -> None:
    said = shown(STALE)
    for part in (
        "ERROR · 12 documents of source wiki are stale",
        "*Severity*\nerror",
        "*State*\nopen",
        "2026-03-01 13:40 UTC",
        "revision f699bb1f → b5023892",
        "You have 30 days to claim.",
        "You have 48 hours to claim.",
        "How long can I claim a refund?",
        "ragwatch reindex --source wiki",
        "<https://status.example/incidents/3f2a91bc|Status page>",
    ):
        assert part in said


def test_the_preview_can_be_read_by_itself() -> None:
    assert slack_blocks.fallback(STALE) == (
        "ERROR: 12 documents of source wiki are stale (handbook, since 2026-03-01 13:40 UTC)"
    )


def test_what_is_cut_says_so() -> None:
    long = replace(STALE, title="t" * 5000, facts=tuple(f"document {n}" for n in range(5000)))
    said = shown(long)
    assert "more characters cut)" in said
    assert "more\n```" in said
    assert "document 0\n" in said


def test_a_message_that_is_late_is_no_news() -> None:
    late = replace(STALE, resolved=START + timedelta(hours=1))
    assert slack_blocks.fallback(late).startswith("RESOLVED MEANWHILE: ")
    assert "resolved at 2026-03-01 14:40 UTC: no action needed" in shown(late)
    assert "🔴" not in shown(late)


def test_a_resolution_is_not_late_and_says_what_is_over() -> None:
    over = replace(STALE, event=Event.RESOLVED, resolved=START + timedelta(hours=1))
    assert slack_blocks.fallback(over).startswith("RESOLVED: ")
    assert "*Severity*\nwas error" in shown(over)
    assert "14:40 UTC" in shown(over)
    assert "as last seen" in shown(over)


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://", "//x", "x", "https://a b/" + "c" * 2000])
def test_what_is_no_link_is_left_out(link: str) -> None:
    assert "Status page" not in shown(replace(STALE, link=link))
