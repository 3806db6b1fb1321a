"""RAGAS itself, in its worker, with a judge that is up, down, slow and wrong: no score is invented, none is lost."""

import _thread
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragwatch.errors import ConfigError
from ragwatch.health.outcomes import Outcome
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.judge_cache import AnswerCache
from ragwatch.probes.ragas_adapter import Ragas, RagasSettings
from ragwatch.probes.ragas_metrics import JUDGE_METRICS, RETRIEVAL_METRICS
from ragwatch.probes.ragas_types import JudgeReport, Reason, Sample
from tests.servers.embeddings import Hang, Raw, Reset, Status
from tests.servers.judge import KEY, YES, Behaviour, JudgeServer, Says, structure

FULL = Sample(
    "full",
    query="how long?",
    retrieved=("Refunds take ten days.", "The office is open on Mondays."),
    retrieved_ids=("1", "2"),
    relevant=("Refunds take ten days.",),
    relevant_ids=("1", "3"),
    reference="ten days",
    response="ten days",
)
EMPTY = Sample("empty", query="q", relevant=("a",), relevant_ids=("1",), reference="x", response="y")
BARE = Sample("bare", query="q", retrieved=("a",), retrieved_ids=("1",))


def embed(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0, float("long" in text)] for text in texts]


@pytest.fixture(scope="module")
def shared() -> Iterator[Ragas]:
    """One worker for the whole file: it takes seconds to start."""
    with Ragas(RagasSettings(), embed=embed) as ragas:
        yield ragas


@pytest.fixture
def server() -> Iterator[JudgeServer]:
    with JudgeServer().running() as server:
        yield server


@pytest.fixture
def ragas(shared: Ragas, server: JudgeServer) -> Ragas:
    judge = JudgeSettings(server.base_url, "judge", timeout_s=5.0, retries=0, concurrency=2)
    shared.settings = RagasSettings(judge=judge)
    return shared


def with_judge(ragas: Ragas, **changes: Any) -> Ragas:
    assert ragas.settings.judge
    ragas.settings = replace(ragas.settings, judge=replace(ragas.settings.judge, **changes))
    return ragas


def samples(count: int) -> list[Sample]:
    return [replace(FULL, id=str(number), query=f"question {number}?") for number in range(count)]


def outcomes(report: JudgeReport) -> Counter[tuple[Outcome, Reason]]:
    """Count all repeats, having seen to it that each is there and has a value exactly where it is scored."""
    repeats = [each for one in report.judged for each in one.repeats]
    assert all((each.value is not None) == each.outcome.scored for each in repeats)
    return Counter((each.outcome, each.reason) for each in repeats)


def test_the_judge_free_metrics_are_ragas_own(shared: Ragas) -> None:
    found = shared.retrieval_metrics([FULL])
    assert [one.metric for one in found] == [metric.name for metric in RETRIEVAL_METRICS]
    assert [one.value for one in found] == [0.5, 0.5, pytest.approx(1.0), 1.0]
    assert {one.outcome for one in found} == {Outcome.OK}


def test_nothing_retrieved_scores_zero_and_cannot_raise_a_mean(shared: Ragas) -> None:
    found = shared.retrieval_metrics([EMPTY])
    assert [(one.value, one.outcome) for one in found] == [(0.0, Outcome.EMPTY)] * 4


def test_what_a_sample_lacks_is_named(shared: Ragas) -> None:
    found = shared.retrieval_metrics([BARE])
    assert {(one.value, one.outcome, one.reason) for one in found} == {(None, Outcome.NOT_RUN, Reason.MISSING_FIELD)}
    assert found[0].detail == "it has no relevant_ids"
    by_text = replace(FULL, retrieved_ids=())
    assert [one.outcome for one in shared.retrieval_metrics([by_text])] == [Outcome.NOT_RUN] * 2 + [Outcome.OK] * 2


def test_every_judge_metric_works(ragas: Ragas, server: JudgeServer) -> None:
    report = ragas.judge([FULL, EMPTY, BARE], [metric.name for metric in JUDGE_METRICS])
    values = {(one.sample, one.metric): one.value for one in report.judged}
    assert {metric: values["full", metric] for metric in (metric.name for metric in JUDGE_METRICS)} == {
        "context_recall": 0.5,
        "context_precision": pytest.approx(1.0),
        "context_relevance": 1.0,
        "context_utilization": pytest.approx(1.0),
        "faithfulness": 0.5,
        "response_groundedness": 1.0,
        "answer_relevancy": pytest.approx(1.0),
        "answer_accuracy": 1.0,
    }
    assert values["empty", "context_recall"] == 0.0
    assert values["empty", "faithfulness"] is None
    assert values["bare", "context_relevance"] == 1.0
    assert values["bare", "context_recall"] is None
    assert sum(outcomes(report).values()) == 3 * 8 * 3
    assert report.usage.requests == len(server.requests)
    assert server.most_at_once <= 2


def test_the_noise_band_comes_from_repeats(ragas: Ragas, server: JudgeServer) -> None:
    server.says["ContextRelevanceOutput"] = lambda number: {"rating": (0, 2, 2, 2)[number % 4]}
    report = with_judge(ragas, concurrency=1).judge([FULL], ["context_relevance"])
    noise = report.noise[0]
    assert [each.value for each in report.judged[0].repeats] == [1.0, 0.5, 1.0]
    assert (noise.samples, noise.widest, noise.means) == (1, 0.5, (1.0, 0.5, 1.0))
    assert noise.band is not None
    assert noise.band > 0.5


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Status(500), Reason.SERVER_ERROR),
        (Status(429, {"Retry-After": "0"}), Reason.RATE_LIMITED),
        (Reset(), Reason.UNREACHABLE),
        (Hang(), Reason.TIMEOUT),
    ],
)
def test_a_judge_that_is_down_gives_no_score_and_is_left_alone(
    told: Behaviour, reason: Reason, ragas: Ragas, server: JudgeServer
) -> None:
    server.always = told
    timeout_s = 0.5 if isinstance(told, Hang) else 5.0
    report = with_judge(ragas, timeout_s=timeout_s).judge(samples(8), ["context_relevance", "context_recall"])
    found = outcomes(report)
    assert sum(found.values()) == 8 * 2 * 3
    assert {where for _, where in found} == {reason}
    assert found[Outcome.JUDGE_ERROR, reason] + found[Outcome.NOT_RUN, reason] == 48
    assert 5 <= len(server.requests) <= 6
    assert report.stopped is reason
    assert report.mean("context_relevance") is None
    assert report.noise[0].band is None


def test_a_judge_that_comes_back_loses_nothing(ragas: Ragas, server: JudgeServer) -> None:
    server.script.extend([Status(503), Status(429, {"Retry-After": "0.1"}), Reset()])
    report = with_judge(ragas, retries=3).judge(samples(2), ["context_recall"])
    assert outcomes(report) == {(Outcome.OK, Reason.NONE): 6}
    assert len(server.requests) == 9


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (Says("I think it is fine."), Reason.MALFORMED),
        (Says('{"rating": 7}'), Reason.MALFORMED),
        (Says('{"rating": "high"}'), Reason.MALFORMED),
        (Says('{"rating": null}'), Reason.MALFORMED),
        (Says('{"rating": 1', finish="length"), Reason.TRUNCATED),
        (Says(None, refusal="no"), Reason.DECLINED),
        (Raw("<html>"), Reason.MALFORMED),
    ],
)
def test_half_a_judgement_is_none(told: Behaviour, reason: Reason, ragas: Ragas, server: JudgeServer) -> None:
    """RAGAS asks twice for this metric, swallows what goes wrong, and scores by the other half."""
    server.script.extend([Says('{"rating": 2}'), told])
    report = with_judge(ragas, concurrency=1, repeats=1).judge(samples(2), ["context_relevance"])
    assert [(one.value, one.outcome, one.reason) for one in report.judged] == [
        (None, Outcome.JUDGE_ERROR, reason),
        (1.0, Outcome.OK, Reason.NONE),
    ]
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("metric", "said", "reason", "detail"),
    [
        ("context_recall", {"ContextRecallOutput": {"classifications": []}}, Reason.NOT_A_NUMBER, ""),
        ("faithfulness", {"StatementGeneratorOutput": {"statements": []}}, Reason.NOT_A_NUMBER, ""),
        (
            "faithfulness",
            {"NLIStatementOutput": {"statements": YES["NLIStatementOutput"]["statements"][:1]}},
            Reason.MALFORMED,
            "NLIStatementOutput: 1 verdicts on 2 statements",
        ),
        (
            "context_precision",
            {"ContextPrecisionOutput": {"reason": "r", "verdict": 5}},
            Reason.MALFORMED,
            "ContextPrecisionOutput: verdict is none of 0, 1",
        ),
        (
            "answer_relevancy",
            {"AnswerRelevanceOutput": {"question": " ", "noncommittal": 0}},
            Reason.MALFORMED,
            "AnswerRelevanceOutput: the question is empty",
        ),
        (
            "answer_accuracy",
            {"AnswerAccuracyOutput": {"rating": 1}},
            Reason.MALFORMED,
            "AnswerAccuracyOutput: rating is none of 0, 2, 4",
        ),
        (
            "context_recall",
            {"ContextRecallOutput": {"classifications": [{"statement": "Refunds take ten days."}]}},
            Reason.MALFORMED,
            "ContextRecallOutput: classifications.0.reason: missing",
        ),
    ],
)
def test_answers_that_ragas_would_turn_into_a_score(
    metric: str, said: dict[str, Any], reason: Reason, detail: str, ragas: Ragas, server: JudgeServer
) -> None:
    server.says.update(said)
    report = ragas.judge([FULL], [metric])
    assert outcomes(report) == {(Outcome.JUDGE_ERROR, reason): 3}
    assert report.judged[0].detail == detail


def test_fenced_answers_are_read(ragas: Ragas, server: JudgeServer) -> None:
    server.always = Says('Sure!\n```json\n{"rating": 1}\n```\nAnything else?')
    assert ragas.judge([FULL], ["context_relevance"]).mean("context_relevance") == 0.5


def test_an_encoder_that_fails_is_an_outcome(
    server: JudgeServer, ragas: Ragas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(texts: Sequence[str]) -> list[list[float]]:
        raise ConfigError("the encoder is gone")

    monkeypatch.setattr(ragas, "_embed", broken)
    report = ragas.judge([FULL], ["answer_relevancy"])
    assert outcomes(report) == {(Outcome.JUDGE_ERROR, Reason.EMBEDDING_FAILED): 3}
    assert report.judged[0].detail == "the encoder is gone"


def test_a_fault_of_our_own_is_not_laid_on_the_judge(ragas: Ragas, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: AnswerCache, key: str) -> str | None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(AnswerCache, "get", full)
    report = ragas.judge([FULL], ["context_recall"])
    assert outcomes(report) == {(Outcome.JUDGE_ERROR, Reason.INTERNAL_ERROR): 3}
    detail = report.judged[0].detail
    assert re.fullmatch(rf"OSError at {Path(__file__).name}:\d+", detail)


def test_over_budget_the_rest_is_not_run(ragas: Ragas, server: JudgeServer) -> None:
    needed = 110 * 6
    report = with_judge(ragas, budget_tokens=needed + 3000, max_tokens=500).judge(samples(20), ["context_recall"])
    found = outcomes(report)
    assert set(found) == {(Outcome.OK, Reason.NONE), (Outcome.NOT_RUN, Reason.BUDGET_TOKENS)}
    assert sum(found.values()) == 60
    assert found[Outcome.OK, Reason.NONE] == len(server.requests) > 0
    assert report.usage.tokens == 110 * len(server.requests) <= needed + 3000
    assert report.stopped is Reason.BUDGET_TOKENS
    assert [one.value is not None for one in report.judged] == sorted(
        (one.value is not None for one in report.judged), reverse=True
    )


def test_usable_answers_are_kept_and_others_asked_for_again(ragas: Ragas, server: JudgeServer, tmp_path: Path) -> None:
    ragas.settings = replace(with_judge(ragas, concurrency=1).settings, cache=tmp_path)
    server.script.append(Says('{"classifications": 3}'))
    first = ragas.judge(samples(2), ["context_recall"])
    second = ragas.judge(samples(2), ["context_recall"])
    assert (first.usage.requests, second.usage.requests, second.usage.cached) == (6, 1, 5)
    assert outcomes(second) == {(Outcome.OK, Reason.NONE): 6}


def test_questions_that_a_metric_repeats_on_purpose_are_not_answered_from_the_cache(
    ragas: Ragas, server: JudgeServer, tmp_path: Path
) -> None:
    ragas.settings = replace(with_judge(ragas, repeats=1).settings, cache=tmp_path)
    ragas.judge([FULL], ["answer_relevancy"])
    assert [structure(body) for body in server.requests] == ["AnswerRelevanceOutput"] * 3


def test_progress_ends_at_everything(ragas: Ragas) -> None:
    heard: list[tuple[int, int]] = []
    ragas.judge([FULL, EMPTY], ["context_recall"], lambda done, total: heard.append((done, total)))
    assert heard[-1] == (6, 6)
    assert heard == sorted(heard)


def test_the_worker_knows_no_key_and_reaches_nobody(
    ragas: Ragas, server: JudgeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    server.api_key = KEY
    with Ragas(with_judge(ragas, api_key=KEY).settings) as fresh:
        assert outcomes(fresh.judge([FULL], ["context_recall"])) == {(Outcome.OK, Reason.NONE): 3}
        environment = Path(f"/proc/{fresh.pid}/environ").read_bytes()
        sockets = [str(link.readlink()) for link in Path(f"/proc/{fresh.pid}/fd").iterdir()]
    assert KEY.encode() not in environment
    assert b"RAGAS_DO_NOT_TRACK=true" in environment
    # asyncio's own pair, which wakes its loop, and nothing that could have a peer elsewhere.
    assert sum(name.startswith("socket:") for name in sockets) == 2


def test_the_sample_in_hand_is_lost_with_the_worker_and_no_other(ragas: Ragas, server: JudgeServer) -> None:
    def kill_once(number: int) -> Any:
        if number == 4:
            assert ragas.pid
            os.kill(ragas.pid, signal.SIGKILL)
        return YES["ContextRecallOutput"]

    server.says["ContextRecallOutput"] = kill_once
    report = with_judge(ragas, concurrency=1).judge(samples(3), ["context_recall"])
    assert outcomes(report) == {(Outcome.OK, Reason.NONE): 8, (Outcome.JUDGE_ERROR, Reason.WORKER_DIED): 1}
    assert report.restarts == 1
    assert report.judged[1].value == 0.5
    assert report.judged[1].repeats[0].detail == "the worker ended: killed by signal 9"


@pytest.fixture
def heeds_interruptions() -> Iterator[None]:
    """As from a terminal: a run that was started in the background of a script ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_interruptions")
def test_an_interruption_does_not_wait_for_the_judge(ragas: Ragas, server: JudgeServer) -> None:
    def interrupt(number: int) -> Any:
        if number == 1:
            _thread.interrupt_main()
            server.stopping.wait(600)
        return YES["ContextRecallOutput"]

    server.says["ContextRecallOutput"] = interrupt
    with Ragas(with_judge(ragas, concurrency=1, timeout_s=600.0).settings) as fresh:
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            fresh.judge(samples(2), ["context_recall"])
        assert time.monotonic() - start < 300
        assert outcomes(fresh.judge(samples(1), ["context_recall"])) == {(Outcome.OK, Reason.NONE): 3}
    server.stopping.set()


def test_nothing_of_ragas_is_imported_here() -> None:
    code = "import sys, ragwatch.probes.ragas_adapter, ragwatch.probes.ragas_run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"ragas", "openai", "instructor", "langchain_core"} & set(done.stdout.split())


def test_a_report_is_json(ragas: Ragas) -> None:
    report = ragas.judge([FULL, EMPTY], ["context_recall", "faithfulness"]).to_json()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
