"""Does a judge that misbehaves ever yield a score, and is every question accounted for? RAGAS with a real model.

    python benchmarks/judge.py [--only NAME ...]

A model of half a billion parameters judges four questions about the handbook: two with the right passage among the
results, two without. It is asked as it should be, and then with everything going wrong that goes wrong with judges.
The exit code is 1 where a question has no outcome, or a value without having been judged.

A model of this size tests the plumbing, not the quality: its opinions mean nothing.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.judge_model import MODEL, Fate, Model, relay
from benchmarks.measure import CACHE, REPOSITORY, machine, note, table
from ragwatch.health.outcomes import Outcome
from ragwatch.probes.judge import JudgeSettings
from ragwatch.probes.ragas_adapter import Ragas, RagasSettings
from ragwatch.probes.ragas_types import JudgeReport, Sample

RIGHT = ("refund-window", "ice-pack-credit")
WRONG = ("insulin-refused", "medicine-health-card")
SHORT = ("context_relevance",)
ALL = ("context_recall", "context_precision", "context_relevance")


@dataclass(frozen=True)
class Scenario:
    """One way in which a judge can behave."""

    name: str
    what: str
    metrics: tuple[str, ...] = SHORT
    settings: dict[str, Any] = field(default_factory=dict)
    fate: Fate = lambda _number: "pass"
    kill_after: int = 0
    """Judgements after which the model's process is killed; 0 for never."""
    cache: bool = False


SCENARIOS = (
    Scenario("up", "schema imposed by the server", ALL, cache=True),
    Scenario("up, again", "the same run a second time", ALL, cache=True),
    Scenario("warm", "temperature 0.8, top_p 1", ALL, {"temperature": 0.8, "top_p": 1.0}),
    Scenario("free", "JSON asked for, no schema imposed", ALL, {"answer_format": "text"}),
    Scenario("garbled", "every second answer is cut in half", fate=lambda n: "garble" if n % 2 == 0 else "pass"),
    Scenario("limited", "every third request: 429, Retry-After: 1", fate=lambda n: "limit" if n % 3 == 0 else "pass"),
    Scenario("failing", "every second request: 500", fate=lambda n: "fail" if n % 2 else "pass"),
    Scenario("slow", "timeout 0.2 s, one retry", settings={"timeout_s": 0.2, "retries": 1}),
    Scenario("short", "answers of three tokens at most", settings={"max_tokens": 3}),
    Scenario("budget", "4,000 tokens", settings={"budget_tokens": 4000, "max_tokens": 64}),
    Scenario("down", "killed after three judgements", settings={"retries": 1}, kill_after=3),
)


def samples() -> list[Sample]:
    """Return four questions of the handbook with two results each, written down rather than searched for."""
    lines = (REPOSITORY / "fixtures" / "handbook" / "golden.jsonl").read_text(encoding="utf-8").splitlines()
    golden = {query["id"]: query for query in map(json.loads, lines)}
    quote = {name: str(golden[name].get("quote") or "") for name in (*RIGHT, *WRONG)}
    unrelated = "The office of the tower operator is open on weekdays from nine to five."
    found = []
    for place, name in enumerate((*RIGHT, *WRONG)):
        best = quote[name] if name in RIGHT else quote[RIGHT[place % 2]]
        query = golden[name]
        found.append(Sample(name, query["query"], retrieved=(best, unrelated), reference=query["answer"]))
    return found


def run(scenario: Scenario, model: Model, asked: Sequence[Sample]) -> tuple[JudgeReport, float]:
    with ExitStack() as stack:
        base = stack.enter_context(relay(model, scenario.fate))
        # The cache knows addresses; the relay's changes from run to run, so the cached scenarios go straight.
        base = f"{model.address}/v1" if scenario.cache else base
        values = {"max_tokens": 256, "concurrency": 2, "timeout_s": 300.0, "answer_format": "json_schema"}
        judge = JudgeSettings(base, MODEL, **{**values, **scenario.settings})
        cache = CACHE / "judge" / "answers" if scenario.cache else None
        ragas = stack.enter_context(Ragas(RagasSettings(judge=judge, cache=cache)))
        start = time.perf_counter()
        report = ragas.judge(asked, scenario.metrics, _killer(scenario, model))
        return report, time.perf_counter() - start


def _killer(scenario: Scenario, model: Model) -> Callable[[int, int], object]:
    def heard(done: int, _total: int) -> None:
        if scenario.kill_after and done >= scenario.kill_after:
            model.kill()

    return heard


def flaws(scenario: Scenario, report: JudgeReport, asked: int) -> list[str]:
    """Return what must never be so."""
    repeats = [each for one in report.judged for each in one.repeats]
    found = []
    if len(repeats) != asked * len(scenario.metrics) * 3:
        found.append(f"{scenario.name}: {len(repeats)} outcomes, not {asked * len(scenario.metrics) * 3}")
    if any((each.value is not None) != (each.outcome is Outcome.OK) for each in repeats):
        found.append(f"{scenario.name}: a value without a judgement, or a judgement without a value")
    if any(each.outcome is not Outcome.OK and not each.reason for each in repeats):
        found.append(f"{scenario.name}: an outcome without a reason")
    return found


def row(scenario: Scenario, report: JudgeReport, wall: float) -> list[object]:
    repeats = Counter((each.outcome, each.reason) for one in report.judged for each in one.repeats)
    bad = [f"{count} {reason}" for (outcome, reason), count in repeats.items() if outcome is Outcome.JUDGE_ERROR]
    unrun = [f"{count} {reason}" for (outcome, reason), count in repeats.items() if outcome is Outcome.NOT_RUN]
    usage = report.usage
    return [
        f"{scenario.name}: {scenario.what}",
        sum(repeats.values()),
        sum(count for (outcome, _), count in repeats.items() if outcome is Outcome.OK),
        ", ".join(bad) or "0",
        ", ".join(unrun) or "0",
        usage.requests,
        usage.cached,
        usage.tokens,
        round(wall),
    ]


def noise_rows(scenario: Scenario, report: JudgeReport) -> list[list[object]]:
    rows = []
    for noise in report.noise:
        values = {one.sample: one.value for one in report.judged if one.metric == noise.metric}
        means = [_mean([values[name] for name in names]) for names in (RIGHT, WRONG)]
        figures = [_shown(value) for value in (*means, noise.sd, noise.widest, noise.band)]
        rows.append([f"{scenario.name}: {noise.metric}", noise.samples, *figures])
    return rows


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in SCENARIOS], default=[])
    only = parser.parse_args().only
    asked = samples()
    rows, noises, wrong = [], [], []
    model = Model()
    try:
        for scenario in SCENARIOS:
            if only and scenario.name not in only:
                continue
            note(f"{scenario.name} …")
            report, wall = run(scenario, model, asked)
            rows.append(row(scenario, report, wall))
            note(json.dumps([str(value) for value in rows[-1]]))
            wrong += flaws(scenario, report, len(asked))
            if scenario.metrics == ALL:
                noises += noise_rows(scenario, report)
    finally:
        model.kill()
    print(machine("xllamacpp"), end="\n\n")
    head = ["judge", "asked", "ok", "judge error", "not run", "requests", "cached", "tokens", "wall s"]
    print(table(head, rows), end="\n\n")
    print(table(["metric", "samples", "mean, right passage", "mean, wrong", "sd", "widest", "band"], noises))
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
