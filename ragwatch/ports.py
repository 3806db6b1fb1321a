"""The ports: what the verbs need from the world. The docstrings are the contracts.

One contract suite per port (`tests/*/contract_*.py`) runs on every implementation, fakes included. All ports
are synchronous and used from one thread at a time. Adapters translate their client library's errors into
`ragwatch.errors` types.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from ragwatch.corpus.document import Document
from ragwatch.corpus.identity import Json
from ragwatch.index.points import Key as Key
from ragwatch.index.points import StoredPoint as StoredPoint
from ragwatch.index.points import Vectors as Vectors
from ragwatch.index.spec import CollectionInfo as CollectionInfo
from ragwatch.index.spec import Distance, EncoderIdentity, Manifest
from ragwatch.index.spec import Fusion as Fusion

# --- sources -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a source's listing. Equal non-empty `stamp`s mean: not worth reading again.

    The stamp is built of size and modification time, an ETag, or a changed-at column; "" says the source
    cannot tell, so the document is read every time. Stamps never decide whether content differs.
    """

    id: str
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that is listed and cannot be turned into text now. It keeps its points."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A document that is not in the source (any more)."""

    id: str


ReadOutcome = Document | Unreadable | Gone


class Source(Protocol):
    """A named set of documents."""

    @property
    def name(self) -> str: ...

    def entries(self) -> Iterator[Entry]:
        """Stream the listing; ids are unique.

        Raises `SourceError` when the listing cannot be completed, at the start or in the middle; what was
        yielded before is then known to exist, and nothing may be concluded about the rest. A source that
        does not exist at all (missing folder, file or table) raises; it is not empty.
        """
        ...

    def read(self, ids: Sequence[str]) -> Iterator[ReadOutcome]:
        """Yield one outcome per id, in order. Raises `SourceError` if the source itself is out of reach."""
        ...

    def present(self, ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that the source has at this moment, asked anew, without reading content.

        Raises `SourceError` if that cannot be said for certain.
        """
        ...


# --- encoders ------------------------------------------------------------------------------------------------


class Encoder(Protocol):
    """Turns texts into vectors. Cheap to construct; weights are loaded when first needed."""

    @property
    def identity(self) -> EncoderIdentity:
        """Known without loading weights into memory or calling `encode`."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest text in tokens, special tokens left out, of which nothing is cut off. 0 when unknown."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count tokens without special tokens and without truncation. Needs no weights."""
        ...

    def encode(self, texts: Sequence[str], *, kind: Literal["passage", "query"] = "passage") -> Vectors:
        """Return float32 of shape (len(texts), dimension), row i for texts[i], every value finite.

        A row does not depend on its neighbours beyond float noise. Raises `EncoderInputError` when a text of
        the batch is refused or yields a non-finite or zero vector (the caller bisects), `UnreachableError`
        when an endpoint stays out of reach after retries, `EncoderError` when the model is not what the
        configuration says. Returns nothing partial. `texts` may be empty.
        """
        ...


# --- stores --------------------------------------------------------------------------------------------------


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
    Raises `UnreachableError` when the server cannot be reached or refuses the credentials, `StoreBusyError`
    when the embedded store is open elsewhere, `StoreError` otherwise; `NotFoundError` where the collection does
    not exist (except `describe`).
    """

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

    def fetch(self, ids: Sequence[str], *, vectors: bool = False) -> list[StoredPoint]:
        """Return those of `ids` that exist, with payload, in any order."""
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

        Ids that do not exist are passed over.
        """
        ...

    def delete(self, ids: Sequence[str], *, revision: str | None) -> None:
        """Delete those of `ids` whose `Key.REVISION` still equals `revision` (None: still have no revision).

        The condition is evaluated by the store together with the delete, not before it.
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

        None: no longer.
        """
        ...

    def close(self) -> None:
        """Release locks and connections. Safe to call twice."""
        ...


# --- retrievers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passage:
    """One result of a retriever."""

    id: str
    """Of the chunk, "" where the retriever names none."""
    text: str
    document: str = ""
    """Source-relative id of its document, "" where the retriever names none."""


class Retriever(Protocol):
    """What answers a question with passages: the collection itself, or the user's own pipeline around it."""

    @property
    def settings(self) -> Mapping[str, Json]:
        """What shapes its answers; runs under other settings are not compared."""
        ...

    def prepare(self, queries: Sequence[str]) -> None:
        """Be told of every query before the first is asked, so that what can be done at once is."""
        ...

    def retrieve(self, query: str, k: int) -> list[Passage]:
        """Return at most `k` passages, best first; [] where it finds none. Raises `RetrieverError` where it fails."""
        ...


# --- state ---------------------------------------------------------------------------------------------------


class CachedDocument(NamedTuple):
    """What the last reading of a document gave; valid while stamp and spec are unchanged. A cache only.

    A tuple, because a scan makes one for every document there is.
    """

    source: str
    id: str
    stamp: str
    spec: str
    """Fingerprint of the `IndexSpec` under which `revision` was computed."""
    digest: str
    """`Document.digest`."""
    revision: str
    """Document revision."""
    findings: tuple[Mapping[str, Json], ...] = ()
    """Findings that depend on the document alone (truncated chunks), to repeat without rereading."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a verb."""

    id: str
    verb: str
    collection: str
    started: datetime
    finished: datetime | None
    outcome: str
    """"running", "done", "incomplete", "refused", "failed", "interrupted"."""
    summary: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A document that the encoder refused at one revision; it is tried again when its revision changes."""

    document: str
    revision: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to apply changes to one collection until `expires`. `token` grows with each new holder."""

    collection: str
    holder: str
    token: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """A small value that ragwatch keeps between runs. `version` grows by one with every write."""

    kind: str
    key: str
    version: int
    value: Mapping[str, Json]
    written: datetime


class State(Protocol):
    """History and caches. Losing it loses history and speed, never correctness.

    Raises `StateError` when the database is damaged, full, read-only or of an unknown schema, and
    `UnreachableError` when its server is out of reach. All datetimes are aware and in UTC.
    """

    def cached(self, source: str, ids: Sequence[str]) -> dict[str, CachedDocument]:
        """Return the cached documents among `ids`, by id. Any number of ids."""
        ...

    def remember(self, documents: Iterable[CachedDocument]) -> None:
        """Insert or replace cached documents, streaming, in bounded transactions."""
        ...

    def forget(self, source: str, ids: Sequence[str]) -> None: ...

    def start_run(self, verb: str, collection: str, now: datetime, summary: Mapping[str, Json] | None = None) -> str:
        """Record a run as running, with what is known of it already, and return its id. Ids sort by time."""
        ...

    def finish_run(self, run: str, outcome: str, summary: Mapping[str, Json], now: datetime) -> None: ...

    def runs(self, *, collection: str | None = None, verb: str | None = None, limit: int = 20) -> list[RunRecord]:
        """Return the newest runs first."""
        ...

    def finished_runs(
        self, collection: str, *, after: tuple[datetime, str] | None = None, limit: int = 200
    ) -> list[RunRecord]:
        """Return the runs that have finished, in the order of (finished, id), from the first that comes after a pair.

        A follower that keeps the pair of the last run it has seen is given every run once, but for those of processes
        whose clock is behind, or whose last write took long: it looks back some minutes and passes over what it knows.
        """
        ...

    def record_findings(self, run: str, findings: Iterable[Mapping[str, Json]]) -> None:
        """Keep the findings of a run, streaming."""
        ...

    def findings(self, run: str, *, limit: int | None = None) -> list[Mapping[str, Json]]:
        """Return the findings of a run in the order in which they were recorded."""
        ...

    def save_plan(self, digest: str, collection: str, plan: Mapping[str, Json], now: datetime) -> None:
        """Keep a plan by its digest. Saving the same digest again changes nothing."""
        ...

    def plan(self, digest: str) -> Mapping[str, Json] | None:
        """Return the plan whose digest starts with `digest`, if exactly one does."""
        ...

    def quarantine(self, collection: str, documents: Sequence[Quarantined]) -> None: ...

    def quarantined(self, collection: str) -> dict[str, Quarantined]:
        """Return the quarantined documents by document key."""
        ...

    def release(self, collection: str, documents: Sequence[str]) -> None:
        """Take documents out of quarantine. Unknown ones are passed over."""
        ...

    def acquire_lease(self, collection: str, holder: str, now: datetime, seconds: float) -> Lease:
        """Take the lease if it is free, expired or already ours. Raises `LeaseHeldError` naming the holder.

        Of any number of processes that try at once, exactly one succeeds.
        """
        ...

    def renew_lease(self, lease: Lease, now: datetime, seconds: float) -> Lease:
        """Extend our lease. Raises `LeaseLostError` if another process has taken it since."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give the lease back; nothing happens if it is no longer ours."""
        ...

    def note(self, kind: str, key: str) -> Note | None: ...

    def notes(self, kind: str) -> list[Note]:
        """Return the notes of a kind, sorted by key."""
        ...

    def write_note(self, kind: str, key: str, value: Mapping[str, Json], now: datetime, *, expected: int) -> None:
        """Write a note whose version is still `expected` (0: there is none yet), as one atomic step.

        Raises `OvertakenError`, and writes nothing, where another process was quicker.
        """
        ...

    def remove_note(self, kind: str, key: str) -> None:
        """Forget a note. Nothing happens where there is none."""
        ...

    def close(self) -> None: ...
