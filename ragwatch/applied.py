"""What applying a plan has done, and the steps at which it can be stopped."""

from collections.abc import Callable
from dataclasses import dataclass, field

Checkpoint = Callable[[str], None]
"""Called by name at every step boundary, before and after each write; tests kill the program there."""


def no_checkpoint(step: str) -> None:
    """The checkpoint of those who do not test."""


@dataclass
class Applied:
    """What was done. Counts are of work that the store has acknowledged."""

    encoded_chunks: int = 0
    encoded_tokens: int = 0
    encode_s: float = 0.0
    upserted: int = 0
    deleted: int = 0
    payload_updates: int = 0
    kept: list[str] = field(default_factory=list)
    """Ids of points that were to be deleted and were not: another writer had given them another revision."""
    deleted_points: set[str] = field(default_factory=set)
    quarantined: dict[str, str] = field(default_factory=dict)
    """Document key → why the encoder refused it, or a part of it."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Document key → what changed under us; the next run repairs it."""
    partial: set[str] = field(default_factory=set)
    """Keys of quarantined documents of which only a part was refused: the rest of them is in the index."""

    @property
    def reused_vectors(self) -> int:
        return max(0, self.upserted - self.encoded_chunks)

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(
            self.encoded_chunks + other.encoded_chunks,
            self.encoded_tokens + other.encoded_tokens,
            self.encode_s + other.encode_s,
            self.upserted + other.upserted,
            self.deleted + other.deleted,
            self.payload_updates + other.payload_updates,
            self.kept + other.kept,
            self.deleted_points | other.deleted_points,
            self.quarantined | other.quarantined,
            self.skipped | other.skipped,
            self.partial | other.partial,
        )
