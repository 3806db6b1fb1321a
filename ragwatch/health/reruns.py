"""Noise of one run taken out before anything is tested: queries that changed are asked again. Pure.

Approximate search and busy backends answer the same question differently now and then. Only a change that most of the
runs show counts; asking all queries again would cost much and tell nothing about those that did not change.
"""

from collections.abc import Sequence
from dataclasses import replace

from ragwatch.health.outcomes import Outcome, QueryResult


def discordant(current: Sequence[QueryResult], *earlier: Sequence[QueryResult]) -> tuple[str, ...]:
    """Return the ids, in order, of the queries to ask again: those that differ from any of the earlier states.

    A query differs where its rank does, or where a forbidden text is new. One that failed is asked again as well;
    one whose evidence is gone is not, as no run can bring it back.
    """
    known = [{result.id: result for result in results} for results in earlier]
    return tuple(
        result.id
        for result in current
        if result.outcome is not Outcome.EVIDENCE_GONE
        and (not result.outcome.scored or any(_differs(result, results.get(result.id)) for results in known))
    )


def majority(runs: Sequence[QueryResult]) -> QueryResult:
    """Return what most runs of one query say: the first with the median rank, nothing found being last.

    Of an even number of scored runs the last is left out, which favours neither rise nor fall. A forbidden text that
    any run retrieved was retrieved. The query is scored only if more than half of the runs were; otherwise the first
    failure stands, with how many there were. Raises `ValueError` where there is no run, or runs of several queries.
    """
    if len({run.id for run in runs}) != 1:
        raise ValueError(f"a majority is taken of runs of one query, not of {len({run.id for run in runs})}")
    scored = [run for run in runs if run.outcome.scored]
    forbidden = any(run.forbidden for run in runs)
    if 2 * len(scored) <= len(runs):
        failed = next(run for run in runs if not run.outcome.scored)
        told = failed.reason or str(failed.outcome)
        reason = told if len(runs) == 1 else f"{len(runs) - len(scored)} of {len(runs)} runs failed: {told}"
        return replace(failed, forbidden=forbidden, reason=reason)
    odd = scored if len(scored) % 2 else scored[:-1]
    median = sorted(odd, key=lambda run: (not run.rank, run.rank))[len(odd) // 2].rank
    return replace(next(run for run in odd if run.rank == median), forbidden=forbidden)


def merge(current: Sequence[QueryResult], *again: Sequence[QueryResult]) -> tuple[QueryResult, ...]:
    """Return the run with each query that was asked again replaced by its majority; the others stay as they are."""
    extra: dict[str, list[QueryResult]] = {}
    for results in again:
        for result in results:
            extra.setdefault(result.id, []).append(result)
    return tuple(majority([result, *extra[result.id]]) if result.id in extra else result for result in current)


def _differs(result: QueryResult, earlier: QueryResult | None) -> bool:
    if earlier is None or not earlier.outcome.scored:
        return result.forbidden
    return result.rank != earlier.rank or (result.forbidden and not earlier.forbidden)
