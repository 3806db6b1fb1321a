"""What a judge's endpoint said, taken apart."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragwatch.probes.judge_limits import estimate
from ragwatch.probes.ragas_types import Reason

_OPTIONAL = ("temperature", "top_p", "response_format", "max_tokens")
_UNKNOWN = ("unsupported_parameter", "unsupported_value", "unknown_parameter")


class JudgeFailedError(Exception):
    """A question has no usable answer. `detail` holds no secret and nothing that the endpoint wrote."""

    def __init__(self, reason: Reason, detail: str, *, not_run: bool = False, attempts: int = 0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.not_run = not_run
        """The question was not put to the judge at all."""
        self.attempts = attempts
        """How many of the attempts it uses up; 0 for one that is made anew in another form."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with what it cost; `failure` where it cost that for nothing."""

    text: str
    prompt: int
    answer: int
    estimated: int
    failure: JudgeFailedError | None = None


def read_reply(content: bytes, body: Mapping[str, Any]) -> Reply:
    """Read the body of a successful answer to a request of body `body`. Never raises."""
    try:
        parsed = json.loads(content)
        choice = parsed["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        finish = choice.get("finish_reason")
        usage = parsed.get("usage") or {}
        if not isinstance(usage, dict) or not isinstance(text, str | None):
            raise TypeError
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        prompt = estimate(json.dumps(body, ensure_ascii=False))
        failure = JudgeFailedError(Reason.MALFORMED, "the endpoint's answer is no chat completion")
        return Reply("", prompt, 0, prompt, failure)
    text = text or ""
    counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count if isinstance(count, int) and count >= 0 else None for count in counts]
    guessed = [estimate(json.dumps(body.get("messages"), ensure_ascii=False)), estimate(text)]
    prompt, answer = (guess if count is None else count for count, guess in zip(known, guessed, strict=True))
    estimated = sum(guess for count, guess in zip(known, guessed, strict=True) if count is None)
    return Reply(text, prompt, answer, estimated, _failure(text, refusal, finish))


def _failure(text: str, refusal: object, finish: object) -> JudgeFailedError | None:
    if refusal or finish == "content_filter":
        return JudgeFailedError(Reason.DECLINED, "the judge would not answer")
    if finish == "length":
        return JudgeFailedError(Reason.TRUNCATED, "the answer is longer than max_tokens")
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        # JSON can spell half a character; nothing that keeps or sends text takes it.
        return JudgeFailedError(Reason.MALFORMED, "the answer holds half a character")
    if not text.strip():
        return JudgeFailedError(Reason.MALFORMED, "the answer is empty")
    return None


def refused_parameter(content: bytes) -> str:
    """Return which optional parameter a refusal names as unknown to the model, "" where it names none."""
    try:
        error = json.loads(content)["error"]
        name, code = error["param"], error["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    plain = name.partition(".")[0] if isinstance(name, str) else ""
    return plain if plain in _OPTIONAL and code in _UNKNOWN else ""
