"""Did retrieval get worse, or is it noise? The decision on a run of golden queries. Pure.

Two comparisons, each on hit@k and on the reciprocal rank, one value a document: with the last accepted state (a fall
at once) and, more strictly, with the frozen baseline (a leak that no single step shows). The test is the exact paired
sign-flip test, and what it calls must be large enough to matter. Levels and floors are set so that a quarter of weekly
probes of a healthy index raises a false alarm in at most 2 % of cases (`benchmarks/probe_power.py`).

What the caller owes: a run is tested only when the index has changed since the accepted state (a rerun is no new
evidence), queries that changed have been asked again and merged (`reruns`), and the accepted state is the last run
that was `same` or `improved`. The frozen baseline moves only when a person says so.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ragwatch.health.outcomes import Outcome, QueryResult
from ragwatch.health.paired import LEAST_UNITS, false_discoveries, mean_interval
from ragwatch.health.power import CHURN, Power, power_of, smallest_drop
from ragwatch.health.retrieval import reciprocal_rank
from ragwatch.health.signflip import p_down, p_up
from ragwatch.health.verdict import ACCEPTED, FROZEN, HIT, NOT_ENOUGH, RANK, Change, Decision, Slice, Verdict

Runs = Mapping[str, QueryResult]
"""Results by the id of their query."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Levels of the tests, and what is too small to matter."""

    step_hit: float = 0.01
    step_rank: float = 0.0005
    chart_hit: float = 0.002
    chart_rank: float = 0.0002
    floor: float = 0.025
    """Smallest change of a mean that is called one, however certain it is."""
    floor_documents: float = 4.0
    """The same as a number of documents, for small sets: a query here and there is churn. The larger one holds."""
    errors: float = 0.05
    """Share of failed queries above which nothing is concluded."""
    slices: float = 0.01
    """Expected share of false ones among the slices that are called."""

    def floor_of(self, units: int) -> float:
        """Return the smallest change of a mean over so many documents that is called one."""
        return max(self.floor, self.floor_documents / units) if units else 1.0


DEFAULT = Rule()


def decide(
    current: Sequence[QueryResult],
    accepted: Sequence[QueryResult],
    frozen: Sequence[QueryResult],
    *,
    differs: Sequence[str] = (),
    rule: Rule = DEFAULT,
) -> Verdict:
    """Return the verdict on a run, of the first of these that holds:

    worse, where a query newly retrieves a forbidden text; not comparable, where settings differ (`differs` names
    them: "k: 10, was 5") or other queries were asked; inconclusive, where more than `rule.errors` of the queries
    failed or too few are left for any fall to be called; worse, where a comparison says so; improved; same.

    Queries without a unit guard against forbidden texts only and are in no measure. Queries whose evidence is gone
    are in none either, and those with fewer or more relevant passages than in an earlier state are not compared with
    it. Raises `ValueError` where a run holds a query twice.
    """
    now, then, first = (_by_id(results) for results in (current, accepted, frozen))
    seen = _counted(now, then)
    leaked = [f"{len(seen.forbidden)} queries retrieve a forbidden text"] if seen.forbidden else []
    blocked = _incomparable(now, then, first, differs)
    if blocked:
        return _verdict(seen, Decision.WORSE if leaked else Decision.NOT_COMPARABLE, [*leaked, *blocked])
    pairs = {ACCEPTED: _pairs(now, then), FROZEN: _pairs(now, first)}
    seen = _compared(seen, pairs, rule)
    unknown = _unknown(now, {ACCEPTED: then, FROZEN: first}, pairs, rule)
    if leaked or unknown:
        return _verdict(seen, Decision.WORSE if leaked else Decision.INCONCLUSIVE, [*leaked, *unknown])
    for decision, called in (
        (Decision.WORSE, [one for one in seen.changes if one.worse]),
        (Decision.IMPROVED, [one for one in seen.changes if one.better]),
    ):
        if called:
            return _verdict(seen, decision, [_told(one) for one in called])
    return _verdict(seen, Decision.SAME, ["no comparison calls a difference"])


def too_little(results: Sequence[QueryResult], *, rule: Rule = DEFAULT) -> str:
    """Say why a run measures too little for anything to be concluded from it, or compared with it; "" where it does."""
    asked = [one for one in results if one.outcome is not Outcome.EVIDENCE_GONE]
    failed = [one for one in asked if _failed(one)]
    if not asked:
        return "no query was asked whose evidence is in the corpus"
    if len(failed) > rule.errors * len(asked):
        why = f", the first because {failed[0].reason}" if failed[0].reason else ""
        return f"{len(failed)} of {len(asked)} queries failed, more than {rule.errors:.0%}{why}"
    return ""


def power_for(results: Sequence[QueryResult], *, rule: Rule = DEFAULT, churn: float = CHURN) -> Power:
    """Return what the set behind a run could see on hit@k, from its scored queries."""
    scored = [one for one in results if one.outcome.scored and one.unit]
    units = len({one.unit for one in scored})
    floor = rule.floor_of(units)
    return power_of(units, len(scored), step=rule.step_hit, chart=rule.chart_hit, floor=floor, churn=churn)


# --- pairs ---------------------------------------------------------------------------------------------------

Pair = tuple[QueryResult, QueryResult]
"""One query before and now, scored in both."""
Value = Callable[[QueryResult], float]


def _pairs(now: Runs, earlier: Runs) -> list[Pair]:
    return [
        (earlier[id], one)
        for id, one in now.items()
        if one.unit
        and one.outcome.scored
        and id in earlier
        and earlier[id].outcome.scored
        and not _changed(one, earlier[id])
    ]


def _changed(now: QueryResult, earlier: QueryResult) -> bool:
    """Say whether there are fewer or more passages to be found: then a move of the first one's rank says nothing."""
    both = now.outcome.scored and earlier.outcome.scored
    return both and now.passages != earlier.passages


def _hit(result: QueryResult) -> float:
    return float(result.rank > 0)


def _reciprocal(result: QueryResult) -> float:
    return reciprocal_rank(result.rank)


def _by_document(pairs: Sequence[Pair], value: Value) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of each document before and now, documents in the order of their names."""
    grouped: dict[str, list[Pair]] = {}
    for pair in pairs:
        grouped.setdefault(pair[1].unit, []).append(pair)
    means = [
        [sum(value(pair[side]) for pair in grouped[unit]) / len(grouped[unit]) for unit in sorted(grouped)]
        for side in (0, 1)
    ]
    return np.array(means[0], dtype=np.float64), np.array(means[1], dtype=np.float64)


def _changes(pairs: Mapping[str, Sequence[Pair]], rule: Rule) -> tuple[Change, ...]:
    return (
        _change(HIT, ACCEPTED, pairs[ACCEPTED], _hit, rule.step_hit, rule),
        _change(RANK, ACCEPTED, pairs[ACCEPTED], _reciprocal, rule.step_rank, rule),
        _change(HIT, FROZEN, pairs[FROZEN], _hit, rule.chart_hit, rule),
        _change(RANK, FROZEN, pairs[FROZEN], _reciprocal, rule.chart_rank, rule),
    )


def _change(measure: str, against: str, pairs: Sequence[Pair], value: Value, alpha: float, rule: Rule) -> Change:
    before, after = _by_document(pairs, value)
    differences = after - before
    low, high = mean_interval((differences + 1) / 2)
    return Change(
        measure=measure,
        against=against,
        units=len(before),
        queries=len(pairs),
        before=float(before.mean()) if len(before) else 0.0,
        after=float(after.mean()) if len(after) else 0.0,
        low=2 * low - 1,
        high=2 * high - 1,
        p_worse=p_down(differences),
        p_better=p_up(differences),
        alpha=alpha,
        floor=rule.floor_of(len(before)),
    )


def _slices(pairs: Sequence[Pair], rule: Rule) -> tuple[Slice, ...]:
    tagged: dict[str, list[Pair]] = {}
    for pair in pairs:
        for tag in dict.fromkeys(pair[1].tags):
            tagged.setdefault(tag, []).append(pair)
    found = {tag: _change(HIT, ACCEPTED, tagged[tag], _hit, rule.slices, rule) for tag in sorted(tagged)}
    judged = {tag: one for tag, one in found.items() if one.units >= LEAST_UNITS}
    # Both directions are asked of every slice, so each gets half.
    share = rule.slices / 2
    down = false_discoveries({tag: one.p_worse for tag, one in judged.items()}, share=share)
    up = false_discoveries({tag: one.p_better for tag, one in judged.items()}, share=share)
    called = {tag: str(Decision.WORSE) for tag in down if found[tag].difference <= -found[tag].floor}
    called |= {tag: str(Decision.IMPROVED) for tag in up if found[tag].difference >= found[tag].floor}
    return tuple(
        Slice(
            tag=tag,
            units=one.units,
            queries=one.queries,
            difference=one.difference,
            p_worse=one.p_worse,
            decision=called.get(tag, str(Decision.SAME)) if tag in judged else NOT_ENOUGH,
        )
        for tag, one in found.items()
    )


# --- what a verdict rests on ---------------------------------------------------------------------------------


def _by_id(results: Sequence[QueryResult]) -> dict[str, QueryResult]:
    found = {one.id: one for one in results}
    if len(found) != len(results):
        twice = next(id for id, number in Counter(one.id for one in results).items() if number > 1)
        raise ValueError(f"query {twice!r} is in the run twice")
    return found


def _forbidden(results: Runs, id: str) -> bool:
    return id in results and results[id].forbidden


def _incomparable(
    now: Runs,
    then: Runs,
    first: Runs,
    differs: Sequence[str],
) -> list[str]:
    told = [f"differs from the baseline: {one}" for one in differs]
    for name, earlier in (("accepted state", then), ("frozen baseline", first)):
        missing, added = len(earlier.keys() - now.keys()), len(now.keys() - earlier.keys())
        if missing or added:
            told.append(f"other queries than in the {name}: {missing} were not asked, {added} are new")
    return told


def _counted(now: Runs, then: Runs) -> Verdict:
    """Return a verdict with its counts, undecided as yet."""
    outcomes = Counter(one.outcome for one in now.values())
    return Verdict(
        Decision.INCONCLUSIVE,
        (),
        forbidden=tuple(id for id, one in now.items() if one.forbidden and not _forbidden(then, id)),
        forbidden_before=tuple(id for id, one in now.items() if one.forbidden and _forbidden(then, id)),
        asked=len(now) - outcomes[Outcome.EVIDENCE_GONE],
        scored=outcomes[Outcome.OK] + outcomes[Outcome.EMPTY],
        empty=outcomes[Outcome.EMPTY],
        errors=tuple(id for id, one in now.items() if _failed(one)),
        evidence_gone=tuple(id for id, one in now.items() if one.outcome is Outcome.EVIDENCE_GONE),
        evidence_changed=tuple(id for id, one in now.items() if id in then and _changed(one, then[id])),
    )


def _compared(seen: Verdict, pairs: Mapping[str, Sequence[Pair]], rule: Rule) -> Verdict:
    """Return the verdict with its comparisons, and the queries that moved."""
    both = [(old, new) for old, new in pairs[ACCEPTED] if old.rank and new.rank]
    return replace(
        seen,
        changes=_changes(pairs, rule),
        lost=tuple(new.id for old, new in pairs[ACCEPTED] if old.rank and not new.rank),
        won=tuple(new.id for old, new in pairs[ACCEPTED] if new.rank and not old.rank),
        fell=tuple(new.id for old, new in both if new.rank > old.rank),
        rose=tuple(new.id for old, new in both if new.rank < old.rank),
        lost_since_baseline=tuple(new.id for old, new in pairs[FROZEN] if old.rank and not new.rank),
        smallest=_smallest(pairs[ACCEPTED], rule),
        slices=_slices(pairs[ACCEPTED], rule),
    )


def _smallest(pairs: Sequence[Pair], rule: Rule) -> float:
    before, after = _by_document(pairs, _hit)
    if not len(before):
        return 1.0
    # Where more rises than usual, more falls by chance as well.
    churn = max(CHURN, 2 * float(np.mean(after > before)))
    floor = rule.floor_of(len(before))
    return smallest_drop(len(before), alpha=rule.step_hit, churn=min(churn, 1.0), floor=floor)


def _unknown(now: Runs, earlier: Mapping[str, Runs], pairs: Mapping[str, Sequence[Pair]], rule: Rule) -> list[str]:
    """Say why nothing can be concluded; nothing said means that something can."""
    if little := too_little(list(now.values()), rule=rule):
        return [little]
    measured = [one for one in now.values() if one.outcome is not Outcome.EVIDENCE_GONE and one.unit]
    for against, results in earlier.items():
        unpaired = sum(_failed(results[one.id]) for one in measured if one.outcome.scored)
        if unpaired > rule.errors * len(measured):
            return [
                f"{unpaired} of {len(measured)} queries had failed in the {against} run, more than {rule.errors:.0%}"
            ]
    units = len({new.unit for _, new in pairs[ACCEPTED]})
    if measured and 0.5**units > rule.step_hit:
        return [f"{units} documents are too few: even the loss of all of them could be chance"]
    return []


def _failed(result: QueryResult) -> bool:
    return not result.outcome.scored and result.outcome is not Outcome.EVIDENCE_GONE


def _told(change: Change) -> str:
    p = change.p_worse if change.worse else change.p_better
    since = "since the last accepted state" if change.against == ACCEPTED else "since the frozen baseline"
    return f"{change.measure} {change.before:.3f} → {change.after:.3f} {since} (p {p:.2g})"


def _verdict(seen: Verdict, decision: Decision, reasons: Sequence[str]) -> Verdict:
    return replace(seen, decision=decision, reasons=tuple(reasons))
