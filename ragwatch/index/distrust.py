"""Points whose vectors are not to be believed, whatever their labels and sketches say."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ragwatch.index.points import Labels


class Cohort(NamedTuple):
    """Points that were written together: in one window of one repair, by one encoder."""

    encoder: str
    written_at: str

    @classmethod
    def of(cls, labels: Labels) -> "Cohort":
        return cls(labels.encoder, labels.written_at)


@dataclass(frozen=True, slots=True)
class Distrust:
    """What an audit has shown to be wrong: single points, or whole cohorts. A rewritten point has a new cohort."""

    points: frozenset[str] = field(default_factory=frozenset)
    cohorts: frozenset[Cohort] = field(default_factory=frozenset)

    def covers(self, point_id: str, labels: Labels) -> bool:
        return point_id in self.points or Cohort.of(labels) in self.cohorts
