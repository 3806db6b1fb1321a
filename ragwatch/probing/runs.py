"""Runs of golden queries as they are kept, and the baseline that later ones are compared with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ragwatch.corpus.identity import Json
from ragwatch.errors import NotFoundError, NotMeasuredError, StateError
from ragwatch.health.measures import Mean, mean_by_unit, passage_ndcg, passage_recall
from ragwatch.health.outcomes import QueryResult
from ragwatch.health.regression import decide, too_little
from ragwatch.health.retrieval import reciprocal_rank
from ragwatch.health.verdict import Verdict
from ragwatch.ports import Note, State

RUNS = "probe"
"""Kind of the notes that hold the results of runs; their key is the run's id."""
BASELINE = "baseline"
"""Kind of the notes that name a collection's frozen baseline and last accepted run."""
KEPT = 60
"""Runs of a collection whose results are kept, beside baseline and accepted run."""


@dataclass(frozen=True)
class ProbeRun:
    """One run of golden queries, before anything is concluded from it."""

    id: str
    collection: str
    k: int
    settings: Mapping[str, Json]
    """What the run is comparable by: golden set, k, retriever."""
    state: str
    """Digest of what the index held; "" where that could not be read."""
    results: tuple[QueryResult, ...]
    started: str
    """ISO 8601, UTC."""

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "collection": self.collection,
            "k": self.k,
            "settings": dict(self.settings),
            "state": self.state,
            "results": [result.to_json() for result in self.results],
            "started": self.started,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "ProbeRun":
        """Read a run back. Raises `KeyError`, `TypeError` or `ValueError` where the value is not one."""
        results, settings, k = value["results"], value["settings"], value["k"]
        if not isinstance(results, list) or not isinstance(settings, dict) or not isinstance(k, int):
            raise ValueError("not a probe run")
        return cls(
            id=str(value["id"]),
            collection=str(value["collection"]),
            k=k,
            settings=settings,
            state=str(value["state"]),
            results=tuple(QueryResult.from_json(one) for one in results if isinstance(one, dict)),
            started=str(value["started"]),
        )

    def values(self, measure: Callable[[QueryResult], float]) -> Mean:
        """Return the mean of a measure over the scored queries, every document counting once."""
        scored = [result for result in self.results if result.outcome.scored and result.unit]
        return mean_by_unit(
            {result.id: measure(result) for result in scored}, {result.id: result.unit for result in scored}
        )

    def measures(self) -> dict[str, Mean]:
        """Return hit@k (success@k), MRR, recall@k, nDCG@k and precision@k by passage, each with its interval."""
        k = self.k
        return {
            f"hit@{k}": self.values(lambda one: float(one.rank > 0)),
            "MRR": self.values(lambda one: reciprocal_rank(one.rank)),
            f"recall@{k}": self.values(lambda one: passage_recall(one.gains, k, one.passages)),
            f"nDCG@{k}": self.values(lambda one: passage_ndcg(one.gains, k, one.passages)),
            f"precision@{k}": self.values(lambda one: sum(one.relevant) / k),
        }


@dataclass(frozen=True)
class Baseline:
    """What later runs are compared with."""

    frozen: ProbeRun
    """Moves only when a person says so."""
    accepted: ProbeRun
    """The last run that was same or improved."""
    note: Note


def keep_run(state: State, run: ProbeRun, now: datetime) -> None:
    """Keep a run's results, and forget the oldest beyond `KEPT`."""
    state.write_note(RUNS, run.id, run.to_json(), now, expected=0)
    found = state.note(BASELINE, run.collection)
    held = {str(value) for value in found.value.values()} if found else set()
    # Ids sort by time.
    mine = [note.key for note in state.notes(RUNS) if note.value.get("collection") == run.collection]
    for key in mine[:-KEPT]:
        if key not in held:
            state.remove_note(RUNS, key)


def read_run(state: State, collection: str, run: str) -> ProbeRun:
    """Return a kept run by its id or an unambiguous beginning of it. Raises `NotFoundError`."""
    mine = [note for note in _notes(state, collection) if note.key.startswith(run)] if run else []
    if len(mine) != 1:
        what = f"{len(mine)} probe runs begin with {run!r}" if mine else f"there is no probe run {run!r}"
        raise NotFoundError(what, hint="ragwatch history --json names them; results of the newest are kept")
    return _run(mine[0])


def read_baseline(state: State, collection: str) -> Baseline | None:
    """Return the baseline, or None where there is none. Raises `StateError` where its runs are lost."""
    note = state.note(BASELINE, collection)
    if note is None:
        return None
    runs = []
    for name in ("frozen", "accepted"):
        kept = state.note(RUNS, str(note.value.get(name)))
        if kept is None:
            fact = f"the {name} run {note.value.get(name)!r} of the baseline is lost"
            raise StateError(fact, hint="ragwatch probe, then: ragwatch baseline set")
        runs.append(_run(kept))
    return Baseline(runs[0], runs[1], note)


def accept_baseline(state: State, collection: str, run: str | None, now: datetime) -> ProbeRun:
    """Make a run (the newest, if none is named) frozen baseline and accepted state, and record that it was done.

    Raises `NotFoundError`, `NotMeasuredError` for a run that measures too little for anything to be compared with it,
    and `OvertakenError` where another process set one at the same time.
    """
    kept = _notes(state, collection)
    if run is None and not kept:
        raise NotFoundError("there is no probe run to accept", hint="ragwatch probe")
    chosen = _run(kept[-1]) if run is None else read_run(state, collection, run)
    if little := too_little(chosen.results):
        raise NotMeasuredError(f"run {chosen.id} is no baseline: {little}", hint="mend that, then: ragwatch probe")
    note = state.note(BASELINE, collection)
    value: dict[str, Json] = {"frozen": chosen.id, "accepted": chosen.id}
    state.write_note(BASELINE, collection, value, now, expected=note.version if note else 0)
    record = state.start_run("baseline", collection, now)
    before = note.value.get("frozen") if note else None
    state.finish_run(record, "done", {"accepted": chosen.id, "before": before}, now)
    return chosen


def accept_run(state: State, run: ProbeRun, baseline: Baseline, now: datetime) -> None:
    """Make a run the accepted state; the frozen baseline stays. Raises `OvertakenError`."""
    value = {**baseline.note.value, "accepted": run.id}
    state.write_note(BASELINE, run.collection, value, now, expected=baseline.note.version)


def compare_runs(before: ProbeRun, after: ProbeRun, frozen: ProbeRun | None = None) -> Verdict:
    """Decide about `after` against an accepted run and, if it is another one, the frozen baseline."""
    differs = [
        f"{name}: {after.settings.get(name)!r}, was {before.settings.get(name)!r}"
        for name in {**after.settings, **before.settings}
        if after.settings.get(name) != before.settings.get(name)
    ]
    return decide(after.results, before.results, (frozen or before).results, differs=differs)


def _notes(state: State, collection: str) -> list[Note]:
    """Return the collection's kept runs, oldest first: ids sort by time."""
    return [note for note in state.notes(RUNS) if note.value.get("collection") == collection]


def _run(note: Note) -> ProbeRun:
    try:
        return ProbeRun.from_json(note.value)
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(f"probe run {note.key} cannot be read: {error}", hint="ragwatch baseline set") from None
