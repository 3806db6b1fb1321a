"""What is concluded from a run of golden queries, with everything that the conclusion rests on. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from ragwatch.corpus.identity import Json


class Decision(StrEnum):
    """The values are an interface (JSON, metrics, exit codes)."""

    IMPROVED = "improved"
    SAME = "same"
    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    """Too much failed, or too little was asked, to say anything."""
    NOT_COMPARABLE = "not_comparable"


HIT, RANK = "hit@k", "mrr"
ACCEPTED, FROZEN = "accepted", "frozen"
NOT_ENOUGH = "not enough"


@dataclass(frozen=True, slots=True)
class Change:
    """One measure now against one earlier state, over the queries scored in both, averaged by document."""

    measure: str
    """`HIT` or `RANK`."""
    against: str
    """`ACCEPTED` or `FROZEN`."""
    units: int
    queries: int
    before: float
    after: float
    low: float
    """95 % interval of the difference after - before, valid at every size (`mean_interval`)."""
    high: float
    p_worse: float
    p_better: float
    alpha: float
    floor: float

    @property
    def difference(self) -> float:
        return self.after - self.before

    @property
    def worse(self) -> bool:
        return self.p_worse <= self.alpha and self.difference <= -self.floor

    @property
    def better(self) -> bool:
        return self.p_better <= self.alpha and self.difference >= self.floor

    def to_json(self) -> dict[str, Json]:
        return {
            "measure": self.measure,
            "against": self.against,
            "documents": self.units,
            "queries": self.queries,
            "before": round(self.before, 4),
            "after": round(self.after, 4),
            "difference": round(self.difference, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "p_worse": _digits(self.p_worse),
            "p_better": _digits(self.p_better),
            "alpha": self.alpha,
            "worse": self.worse,
            "better": self.better,
        }


@dataclass(frozen=True, slots=True)
class Slice:
    """The queries with one tag, hit@k against the accepted state. It explains a verdict and never makes one."""

    tag: str
    units: int
    queries: int
    difference: float
    p_worse: float
    decision: str
    """worse, improved or same, false discoveries controlled; "not enough" below `LEAST_UNITS` documents."""

    def to_json(self) -> dict[str, Json]:
        return {
            "tag": self.tag,
            "documents": self.units,
            "queries": self.queries,
            "difference": round(self.difference, 4),
            "p_worse": _digits(self.p_worse),
            "decision": self.decision,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is concluded from a run, and everything that it rests on. Ids are in the order of the run."""

    decision: Decision
    reasons: tuple[str, ...]
    """Facts that made the decision, one a line."""
    changes: tuple[Change, ...] = ()
    """hit@k and MRR against the accepted state, then both against the frozen baseline."""
    lost: tuple[str, ...] = ()
    """Hits of the accepted state that are none now."""
    won: tuple[str, ...] = ()
    fell: tuple[str, ...] = ()
    """Hits of both whose first relevant result is further down now."""
    rose: tuple[str, ...] = ()
    lost_since_baseline: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    """Queries that retrieve a forbidden text now and did not in the accepted state."""
    forbidden_before: tuple[str, ...] = ()
    """Those that did so there already."""
    asked: int = 0
    """Queries whose evidence is in the corpus."""
    scored: int = 0
    empty: int = 0
    errors: tuple[str, ...] = ()
    evidence_gone: tuple[str, ...] = ()
    evidence_changed: tuple[str, ...] = ()
    """Queries that have fewer or more relevant passages than in the accepted state, and are not compared with it."""
    smallest: float = 1.0
    """Smallest fall in hit@k since the accepted state that this set sees with a power of 80 %; 1.0: none."""
    slices: tuple[Slice, ...] = ()

    def change(self, measure: str = HIT, against: str = ACCEPTED) -> Change | None:
        """Return one of the comparisons, None where none was made."""
        found = (one for one in self.changes if (one.measure, one.against) == (measure, against))
        return next(found, None)

    def to_json(self) -> dict[str, Json]:
        return {
            "decision": str(self.decision),
            "reasons": list(self.reasons),
            "changes": [one.to_json() for one in self.changes],
            "lost": list(self.lost),
            "won": list(self.won),
            "fell": list(self.fell),
            "rose": list(self.rose),
            "lost_since_baseline": list(self.lost_since_baseline),
            "forbidden": list(self.forbidden),
            "forbidden_before": list(self.forbidden_before),
            "asked": self.asked,
            "scored": self.scored,
            "empty": self.empty,
            "errors": list(self.errors),
            "evidence_gone": list(self.evidence_gone),
            "evidence_changed": list(self.evidence_changed),
            "smallest_drop": round(self.smallest, 4),
            "slices": [one.to_json() for one in self.slices],
        }


def _digits(p: float) -> float:
    """Keep three digits of a small probability."""
    return float(f"{p:.3g}")
