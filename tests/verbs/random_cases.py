"""Random cases of an index, its corpus and what went wrong with either, and what must hold in each.

The oracle does not ask the code under test what is right: it builds an index of the same corpus from nothing and holds
every point against it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Status
from ragwatch.index.balance import DocumentState, PointKind
from ragwatch.index.points import StoredPoint
from ragwatch.index.sketch import sketch_matches
from ragwatch.index.spec import Layout
from ragwatch.ports import Store
from tests.fakes.memory_source import MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.verbs.corpora import PATHS
from tests.verbs.random_faults import FAULTS, SOURCES, Case, paragraphs, reserved, with_reserved


def build(
    rng: random.Random, make_store: Callable[[Layout], Store] = lambda layout: MemoryStore(layout=layout)
) -> Case:
    """Return a case whose index is as its corpus says."""
    layout = rng.choice(list(Layout))
    case = Case(rng, make_store(layout), layout, tuple(MemorySource({}, name) for name in SOURCES))
    for path in rng.sample(PATHS, rng.randint(1, len(PATHS))):
        rng.choice(case.sources).documents[path] = paragraphs(case)
    assert case.repair().verified, "the first build"
    return case


def spoil(case: Case, faults: int) -> None:
    for name in case.rng.choices(list(FAULTS), k=faults):
        if case.store.describe() is None:
            return
        if FAULTS[name](case):
            case.faults.append(name)


# -- what must hold ---------------------------------------------------------------------------------------------


def is_right(point: StoredPoint, wanted: StoredPoint, layout: Layout) -> bool:
    """Say whether a point is what a fresh build has at its id, but for the time of writing."""
    labels, right = reserved(point, layout), reserved(wanted, layout)
    if not isinstance(labels, dict) or not isinstance(right, dict) or labels.keys() != right.keys():
        return False
    assert point.vector is not None
    assert wanted.vector is not None
    if not _is_time(labels["at"]) or not isinstance(labels["sketch"], str):
        return False
    if not sketch_matches([labels["sketch"]], point.vector[None, :])[0]:
        return False
    held = with_reserved(point, {**labels, "at": right["at"], "sketch": right["sketch"]}, layout).payload
    same = all(_same(held.get(key, ""), value) for key, value in wanted.payload.items())
    return same and bool(np.allclose(point.vector, wanted.vector, atol=1e-5))


def _same(one: Json, other: Json) -> bool:
    # True equals 1 to Python, and is another value to a store.
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


def _is_time(value: Json) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).astimezone(UTC) is not None and "+" in value
    except ValueError:
        return False


def is_foreign(point: StoredPoint, layout: Layout) -> bool:
    return reserved(point, layout) is None


def check(case: Case) -> list[str]:
    """Scan, repair and scan again; return what does not hold, none where all does."""
    problems: list[str] = []
    wanted, aside = case.expected(), case.set_aside()
    _check_scans(case, wanted, problems)
    foreign = (
        {p.id for p in case.points() if is_foreign(p, case.layout)} - set(wanted) if case.store.describe() else set()
    )
    kept = _of_documents(case, aside)
    repair = case.repair()
    # A repair that leaves a document out is not verified, however well it did the rest.
    if repair.verified is bool(aside) or repair.remaining:
        problems.append(f"verified {repair.verified} with {len(aside)} documents set aside: {repair.remaining}")
    _check_equal(case, wanted, aside, foreign, problems)
    if gone := kept - {point.id for point in case.points()}:
        problems.append(f"points of unreadable documents were deleted: {sorted(gone)}")
    if not repair.balance or not repair.balance.balanced:
        problems.append("the verification does not balance")
    second = case.repair()
    if not second.plan.empty:
        problems.append(f"a second repair has something to do: {[change.reason for change in second.plan.changes]}")
    after = case.scan(deep=True)
    healthy = not aside and not foreign
    if (after.status is Status.HEALTHY) is not healthy or not after.balance.balanced:
        problems.append(f"after the repair: {after.status}, {after.balance.to_json()}")
    _check_broken_listing(case, problems)
    return problems


def _check_broken_listing(case: Case, problems: list[str]) -> None:
    """A source whose listing breaks: the sums come out, nothing is healthy, and nothing of the source is deleted."""
    source = case.rng.choice(case.sources)
    source.break_after = case.rng.randint(0, max(1, len(source.documents)))
    for deep in (False, True):
        report = case.scan(deep=deep)
        if not report.balance.balanced or report.status is Status.HEALTHY or report.complete:
            problems.append(f"a broken listing: {report.status}, {report.balance.to_json()}")
        if report.plan.totals.delete:
            problems.append(f"a broken listing deletes: {[change.document for change in report.plan.changes]}")
    source.break_after = None


def _of_documents(case: Case, keys: set[str]) -> set[str]:
    """Return the ids of points that are labelled with one of these documents, in well-formed labels."""
    if not keys or case.store.describe() is None:
        return set()
    found = set()
    for point in case.points():
        labels = reserved(point, case.layout)
        if isinstance(labels, dict) and labels.keys() == LABELS and str(labels["doc"]) in keys:
            found.add(point.id)
    return found


LABELS = {"doc", "rev", "digest", "n", "encoder", "sketch", "at"}


def _check_scans(case: Case, wanted: Mapping[str, StoredPoint], problems: list[str]) -> None:
    exists = case.store.describe() is not None
    points = case.points() if exists else []
    listed = sum(len({*source.documents, *source.unreadable}) for source in case.sources)
    for deep in (False, True):
        report = case.scan(deep=deep)
        level = "deep" if deep else "fast"
        total, sums = report.balance.points, report.balance.documents
        if not report.balance.balanced or total.accounted != len(points) or sums.accounted != listed:
            problems.append(f"{level} scan does not balance: {report.balance.to_json()}")
    right = [point for point in points if point.id in wanted and is_right(point, wanted[point.id], case.layout)]
    explained = total.parts.get(PointKind.EXPLAINED, 0)
    if explained != len(right):
        problems.append(f"the deep scan explains {explained} points, {len(right)} are right: {total.to_json()}")
    equal = exists and len(right) == len(points) == len(wanted) and not case.set_aside()
    if report.status is Status.HEALTHY and not equal:
        problems.append("the deep scan is healthy, and the index is not what a fresh build has")
    if equal and report.status is not Status.HEALTHY:
        problems.append(f"the deep scan is {report.status} of an equal index: {[f.reason for f in report.findings]}")
    if equal and sums.parts.get(DocumentState.INDEXED, 0) + sums.parts.get(DocumentState.EMPTY, 0) != listed:
        problems.append(f"documents of an equal index: {sums.to_json()}")


def _check_equal(
    case: Case, wanted: Mapping[str, StoredPoint], aside: set[str], foreign: set[str], problems: list[str]
) -> None:
    """The repaired index is the fresh build, with what is foreign and what belongs to unreadable documents."""
    held = {point.id: point for point in case.points()}
    if missing := wanted.keys() - held.keys():
        problems.append(f"missing after the repair: {sorted(missing)}")
    if wrong := [id_ for id_, one in wanted.items() if id_ in held and not is_right(held[id_], one, case.layout)]:
        problems.append(f"wrong after the repair: {wrong}")
    named = {source.split(":", 1)[1] for source in aside}
    extra = (held[id_] for id_ in held.keys() - wanted.keys() - foreign)
    # Points that malformed labels took from their unreadable document are known by their readable fields alone.
    left = [one for one in extra if not any(name in str(one.payload) for name in named)]
    problems.extend(f"left over after the repair: {one.id} {one.payload}" for one in left)
    if lost := foreign - held.keys():
        problems.append(f"foreign points were deleted: {sorted(lost)}")


def run(
    seed: str, make_store: Callable[[Layout], Store] = lambda layout: MemoryStore(layout=layout)
) -> tuple[Case, list[str]]:
    """Run one case; return it with what does not hold."""
    rng = random.Random(seed)
    case = build(rng, make_store)
    spoil(case, rng.randint(0, 4))
    return case, check(case)


def counted(cases: Sequence[Case]) -> dict[str, int]:
    """Return how often each fault was injected."""
    return {name: sum(case.faults.count(name) for case in cases) for name in FAULTS}
