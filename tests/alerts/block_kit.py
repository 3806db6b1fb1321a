"""Slack's documented schema and limits of what we use of Block Kit, written down independently of what makes it.

https://docs.slack.dev/reference/block-kit/blocks and https://docs.slack.dev/reference/block-kit/composition-objects
"""

import json
import re
from typing import Any

MARKUP = re.compile(
    r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>"
    r"|<https?://[^<>|\s]+\|Status page>"
)
"""The only control sequences of Slack that we write ourselves."""
ENTITY = re.compile(r"&(?:amp|lt|gt);")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def check_message(body: dict[str, Any]) -> None:
    """Assert that Slack would take the body of a webhook, and would act upon nothing in it."""
    encoded = json.dumps(body, ensure_ascii=False).encode("utf-8")
    assert len(encoded) < 40_000
    assert body["unfurl_links"] is False
    assert body["unfurl_media"] is False
    assert 0 < units(body["text"]) <= 3000
    check_text(body["text"], own_markup=False)
    if "blocks" in body:
        assert units(body["text"]) <= 300
        assert 1 <= len(body["blocks"]) <= 50
        for block in body["blocks"]:
            check_block(block)
        assert sum(map(units, texts_of(body["blocks"]))) < 9_000
    else:
        assert body["mrkdwn"] is False


def check_block(block: dict[str, Any]) -> None:
    if block["type"] == "header":
        assert block.keys() == {"type", "text"}
        check_object(block["text"], 150, kinds=("plain_text",))
    elif block["type"] == "context":
        assert block.keys() == {"type", "elements"}
        assert 1 <= len(block["elements"]) <= 10
        for element in block["elements"]:
            check_object(element, 3000)
    else:
        assert block["type"] == "section"
        assert block.keys() in ({"type", "text"}, {"type", "fields"})
        if "text" in block:
            check_object(block["text"], 3000)
        else:
            assert 1 <= len(block["fields"]) <= 10
            for one in block["fields"]:
                check_object(one, 2000)


def check_object(value: dict[str, Any], limit: int, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> None:
    assert value["type"] in kinds
    assert 1 <= units(value["text"]) <= limit
    if value["type"] == "mrkdwn":
        assert value.keys() == {"type", "text", "verbatim"}
        assert value["verbatim"] is True
        check_formatting(MARKUP.sub("", value["text"]))
    else:
        assert value.keys() == {"type", "text", "emoji"}
        assert value["emoji"] is False
    check_text(value["text"], own_markup=value["type"] == "mrkdwn")


def check_formatting(text: str) -> None:
    """Outside of code there is nothing but our own words and bold labels; and code is closed where it is opened."""
    outside = re.sub(r"```\n.*?\n```", "", text, flags=re.DOTALL)
    assert "```" not in outside
    outside = re.sub(r"`[^`\n]+`", "", outside)
    assert "`" not in outside
    assert not re.search(r"[_~]", outside)
    assert outside.count("*") in (0, 2)


def check_text(text: str, *, own_markup: bool) -> None:
    """Slack acts on `<…>` and `&`; nothing of either is left but entities, and what we wrote ourselves."""
    rest = ENTITY.sub("", MARKUP.sub("", text) if own_markup else text)
    assert not set("<>&") & set(rest)
    for character in text:
        assert character == "\n" or character.isprintable() or character in "\u2068\u2069\u200c\u200d", (
            f"{character!r} is in a text"
        )
    assert text.count("\u2068") == text.count("\u2069")


def texts_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in texts_of(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in texts_of(inner)]
    return []
