"""The port of a vector store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ragwatch.corpus.identity import Json
from ragwatch.index.points import Key, StoredPoint, Vectors
from ragwatch.index.spec import CollectionInfo, Distance, Fusion, Manifest

Scalar = str | int
"""A payload value that can be filtered on; the embedded engine knows no truth values."""


@dataclass(frozen=True, slots=True)
class Where:
    """Points whose `key` equals any of `values`; with no values: points that have no such key."""

    key: Key
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result; higher `score` is nearer for every distance except euclid and manhattan."""

    id: str
    score: float
    payload: Mapping[str, Json]


Revision = str | None | Mapping[str, str | None]
"""The revision that points must have, the same one for all or one by id; None where they must have none."""


@dataclass(frozen=True, slots=True)
class ServerStanding:
    """What is known of the server that a store is on."""

    version: str
    """As the server names it, "" where it does not."""
    facts: tuple[str, ...] = ()
    """One sentence each, faults first."""
    faults: tuple[str, ...] = ()
    """Those of `facts` that may bite whoever runs the server, whatever ragwatch does."""
    advice: str = ""
    """What to do about the faults, "" where there is none."""

    @property
    def words(self) -> str:
        """The version, and what is known of it."""
        named = f"Qdrant {self.version}" if self.version else "Qdrant"
        return "; ".join((named, *self.facts))

    def to_json(self) -> dict[str, Json]:
        return {
            "version": self.version or None,
            "facts": list(self.facts),
            "faults": list(self.faults),
            "advice": self.advice,
        }


WriteCheck = Callable[[float], None]
"""Told how many seconds a write request may take; raises where it must not be sent."""


@dataclass(frozen=True, slots=True)
class Hybrid:
    """A search of the sparse vectors beside that of the dense ones, in one request."""

    text: str
    """The question; the store turns it into a sparse vector."""
    fusion: Fusion = Fusion.RRF
    candidates: int = 100
    """Best results of each side that are fused, however many are asked for."""


class Store(Protocol):
    """One collection (by name or alias) of one vector store.

    Every write returns only when it is durable and visible to reads. Ids are UUID strings, or unsigned integers
    in decimal.
    Every write names points by id and carries its values. None depends on a condition that the store evaluates,
    since a log may be replayed on another state: what a write depends on is read just before it, and decided here.
    What another writer changes in between is overwritten or deleted; a comparison afterwards shows it.
    Raises `UnreachableError` when the server cannot be reached or refuses the credentials, `StoreBusyError`
    when the embedded store is open elsewhere, `StoreError` otherwise; `NotFoundError` where the collection does
    not exist (except `describe`).
    """

    def server(self) -> ServerStanding | None:
        """Return what is known of the server, asked once a session; None where there is no server."""
        ...

    def describe(self) -> CollectionInfo | None:
        """Return the collection as it is now (exact point count), or None if there is none."""
        ...

    def create(self, dimension: int, distance: Distance, manifest: Manifest) -> None:
        """Create the collection with its payload indexes and manifest. Raises `StoreError` if it exists."""
        ...

    def ensure_payload_indexes(self) -> None:
        """Create whichever payload index of `Key` is missing."""
        ...

    def write_manifest(self, manifest: Manifest) -> None: ...

    def facet(self, key: Key) -> dict[str, int]:
        """Return the exact number of points per value of `key`, for all values. Needs the payload index.

        Points without the key are in no count. Never truncated: where the store cannot give all, it raises.
        """
        ...

    def scroll(
        self, where: Where | None = None, *, vectors: bool = False, payload: bool = True
    ) -> Iterator[StoredPoint]:
        """Stream the points that match, each once, in id order, in pages sized by the adapter.

        With `payload=False` only the reserved `_ragwatch` part of the payload comes along.
        """
        ...

    def fetch(self, ids: Sequence[str], *, vectors: bool = False, payload: bool = True) -> list[StoredPoint]:
        """Return those of `ids` that exist, in any order.

        With `payload=False` only the reserved `_ragwatch` part of the payload comes along.
        """
        ...

    def sample(self, count: int) -> list[str]:
        """Return the ids of `count` distinct points, of all where there are fewer, drawn uniformly at random."""
        ...

    def upsert(self, points: Sequence[StoredPoint]) -> None:
        """Write points whole (each with a vector), replacing any of the same id. Batches as the store needs.

        Where a sparse vector is configured, it is made of each point's text and written too. Raises `RefusedError`,
        and writes nothing, where the collection has vectors that would be lost (`CollectionInfo.unwritten`).
        """
        ...

    def set_payload(self, updates: Sequence[tuple[str, Mapping[str, Json]]]) -> None:
        """Replace the given top-level payload keys of each existing point; other keys and the vector stay.

        Ids that do not exist are passed over, also where one is deleted meanwhile. A null that is not stored yet is
        written with the rest of the payload as it was just read.
        """
        ...

    def delete(self, ids: Sequence[str], *, revision: Revision) -> tuple[str, ...]:
        """Delete those of `ids` whose revision is still `revision` (None: that still have none); return the others.

        The points are read again just before they are deleted, by id. Returned are the ids of points that exist and
        were kept, because their revision is another by now (`ragwatch.index.points.revision_of`).
        """
        ...

    def search(
        self,
        vector: Vectors,
        limit: int,
        *,
        exact: bool = False,
        fields: Mapping[str, Scalar] | None = None,
        hybrid: Hybrid | None = None,
    ) -> list[Hit]:
        """Return the nearest points, best first, with payload; only those whose payload `fields` have these values.

        A field is a dotted path. With `hybrid`, the configured sparse vector is searched too and the two lists are
        fused; scores are then those of the fusion. Raises `ConfigError` where no sparse vector is configured, and
        `EncoderError` where what makes it fails.
        """
        ...

    def aliases(self) -> dict[str, str]:
        """Return every alias of the store and the collection it names."""
        ...

    def switch_alias(self, alias: str, collection: str) -> None:
        """Make `alias` name `collection` in one atomic step, created or moved."""
        ...

    def drop(self) -> None:
        """Delete the collection with everything in it. No error if there is none."""
        ...

    def fence(self, check: WriteCheck | None) -> None:
        """Call `check` right before every request that writes, each repetition too; what it raises ends the write.

        Of all that fence a collection, the latest alone writes: a write of an earlier one that arrives after this call
        raises `LeaseLostError` and changes nothing, whatever its own check says, until it is fenced anew. Only `drop`
        and `create` rely on the check. Raises what `check` raises. None: no longer.
        """
        ...

    def close(self) -> None:
        """Release locks and connections. Safe to call twice."""
        ...
