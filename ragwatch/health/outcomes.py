"""What came of asking one golden query: an outcome, never a silently missing number."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ragwatch.corpus.identity import Json


class Outcome(StrEnum):
    """The values are an interface (JSON, metrics)."""

    OK = "ok"
    EMPTY = "empty"
    """Nothing was retrieved: scores 0."""
    EVIDENCE_GONE = "evidence_gone"
    """The quote has left the corpus: excluded from every measure, counted, and to be reviewed."""
    BACKEND_ERROR = "backend_error"
    JUDGE_ERROR = "judge_error"
    NOT_RUN = "not_run"

    @property
    def scored(self) -> bool:
        return self in (Outcome.OK, Outcome.EMPTY)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """One golden query, asked once."""

    id: str
    unit: str
    """The document that it is about: queries about one document rise and fall together. "" for a query that only
    says what must not be retrieved, and is in no measure."""
    outcome: Outcome
    rank: int = 0
    """Of the first relevant result, from 1; 0 where there is none among the first k."""
    relevant: tuple[bool, ...] = ()
    """For each result in order, whether it holds a relevant passage."""
    gains: tuple[int, ...] = ()
    """For each result in order, how many relevant passages it holds that none before it does."""
    passages: int = 1
    """Relevant passages that are in the corpus."""
    retrieved: tuple[str, ...] = ()
    """Ids of the results, best first."""
    forbidden: bool = False
    """A forbidden text was retrieved."""
    tags: tuple[str, ...] = ()
    latency_s: float = 0.0
    reason: str = ""
    """Why it is not scored."""

    def to_json(self) -> dict[str, Json]:
        return {
            "id": self.id,
            "unit": self.unit,
            "outcome": str(self.outcome),
            "rank": self.rank,
            "relevant": list(self.relevant),
            "gains": list(self.gains),
            "passages": self.passages,
            "retrieved": list(self.retrieved),
            "forbidden": self.forbidden,
            "tags": list(self.tags),
            "latency_s": round(self.latency_s, 4),
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> "QueryResult":
        """Read a result back. Raises `KeyError` or `ValueError` where the value is not one."""
        relevant, retrieved, tags = value["relevant"], value["retrieved"], value["tags"]
        rank, latency = value["rank"], value["latency_s"]
        # Runs that were kept before queries could have several passages judged the first one alone.
        passages, gains = value.get("passages", 1), value.get("gains")
        if gains is None and isinstance(relevant, list):
            gains = [int(place + 1 == rank) for place in range(len(relevant))]
        if not isinstance(gains, list) or not isinstance(passages, int):
            raise ValueError("a query's result holds its passages")
        if not isinstance(relevant, list) or not isinstance(retrieved, list) or not isinstance(tags, list):
            raise ValueError("a query's result holds lists")
        if not isinstance(rank, int) or not isinstance(latency, int | float):
            raise ValueError("a query's result holds numbers")
        return cls(
            id=str(value["id"]),
            unit=str(value["unit"]),
            outcome=Outcome(str(value["outcome"])),
            rank=rank,
            relevant=tuple(bool(one) for one in relevant),
            gains=tuple(int(str(one)) for one in gains),
            passages=passages,
            retrieved=tuple(str(one) for one in retrieved),
            forbidden=bool(value["forbidden"]),
            tags=tuple(str(tag) for tag in tags),
            latency_s=float(latency),
            reason=str(value["reason"]),
        )
