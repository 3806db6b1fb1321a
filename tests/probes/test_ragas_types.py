"""Repeats are summed up without inventing or dropping any."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragwatch.health.outcomes import Outcome
from ragwatch.probes.ragas_types import Judged, JudgeReport, Noise, Reason, Repeat, Usage

OK = Repeat(Outcome.OK, 0.5)
LATE = Repeat(Outcome.JUDGE_ERROR, None, Reason.TIMEOUT, "no answer within 60 s")
BAD = Repeat(Outcome.JUDGE_ERROR, None, Reason.MALFORMED, "rating: missing")
UNASKED = Repeat(Outcome.NOT_RUN, None, Reason.BUDGET_TOKENS, "used up")


@pytest.mark.parametrize(
    ("repeats", "value", "outcome", "reason"),
    [
        ((OK, Repeat(Outcome.OK, 1.0), OK), 2 / 3, Outcome.OK, Reason.NONE),
        ((OK, OK, LATE), 0.5, Outcome.OK, Reason.NONE),
        ((OK, LATE, LATE), None, Outcome.JUDGE_ERROR, Reason.TIMEOUT),
        ((OK, LATE, BAD), None, Outcome.JUDGE_ERROR, Reason.TIMEOUT),
        ((OK, UNASKED, UNASKED), None, Outcome.NOT_RUN, Reason.BUDGET_TOKENS),
        ((OK, LATE), None, Outcome.JUDGE_ERROR, Reason.TIMEOUT),
        ((Repeat(Outcome.EMPTY, 0.0, Reason.NOTHING_RETRIEVED),), 0.0, Outcome.EMPTY, Reason.NOTHING_RETRIEVED),
    ],
)
def test_more_than_half_must_be_scored(
    repeats: tuple[Repeat, ...], value: float | None, outcome: Outcome, reason: Reason
) -> None:
    found = Judged.of("m", "s", repeats)
    assert found.value == pytest.approx(value)
    assert (found.outcome, found.reason) == (outcome, reason)
    assert found.repeats == repeats


def test_no_repeat_is_no_judgement() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Judged.of("m", "s", ())


@given(st.lists(st.lists(st.sampled_from([OK, LATE, BAD, UNASKED]), min_size=3, max_size=3)))
def test_counts_add_up_and_a_value_is_there_exactly_where_it_is_scored(samples: list[list[Repeat]]) -> None:
    judged = tuple(Judged.of("m", str(place), repeats) for place, repeats in enumerate(samples))
    report = JudgeReport(judged, (Noise("m", 0, None, None, None, ()),), Usage())
    assert report.counts("m") == Counter((one.outcome, one.reason) for repeats in samples for one in repeats)
    assert all((one.value is not None) == one.outcome.scored for one in judged)
    assert report.counts("another") == {}
    assert (report.mean("m") is None) == all(one.value is None for one in judged)


def test_a_report_as_json() -> None:
    judged = (Judged.of("m", "s", (OK, OK, LATE)),)
    usage = Usage(requests=4, cached=1, prompt_tokens=7, answer_tokens=2, cost=0.5, currency="USD")
    report = JudgeReport(judged, (Noise("m", 1, 0.0, 0.0, 0.0, ()),), usage, Reason.TIMEOUT, "late", 2).to_json()
    assert report["metrics"] == {
        "m": {
            "mean": 0.5,
            "outcomes": [
                {"outcome": "judge_error", "reason": "timeout", "repeats": 1},
                {"outcome": "ok", "reason": "", "repeats": 2},
            ],
            "noise": {"metric": "m", "samples": 1, "sd": 0.0, "widest": 0.0, "band": 0.0, "means": []},
        }
    }
    assert (report["stopped"], report["detail"], report["restarts"]) == ("timeout", "late", 2)
    assert report["usage"] == {
        "requests": 4,
        "cached": 1,
        "prompt_tokens": 7,
        "answer_tokens": 2,
        "estimated_tokens": 0,
        "cost": 0.5,
        "currency": "USD",
    }
