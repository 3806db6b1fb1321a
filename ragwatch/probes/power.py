"""What drops a set of golden queries can see, before it has been asked once."""

from collections.abc import Sequence

from ragwatch.health.outcomes import Outcome, QueryResult
from ragwatch.health.power import Power
from ragwatch.health.regression import power_for
from ragwatch.health.retrieval import GoldenQuery


def power_of_set(queries: Sequence[GoldenQuery]) -> Power:
    """Return the power of the set if every query is scored; queries that only forbid a text do not count."""
    asked = [query for query in queries if query.evidence]
    return power_for([QueryResult(query.id, query.unit, Outcome.OK) for query in asked])
