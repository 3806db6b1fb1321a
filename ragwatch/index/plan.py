"""The plan: a frozen, sorted, serialisable value that says exactly what a repair does, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ragwatch.corpus.identity import Json, digest_json
from ragwatch.index.desired import revision_chunks

if TYPE_CHECKING:
    from ragwatch.index.diff import DocumentDiff

PLAN_FORMAT = 1


@dataclass(frozen=True, slots=True, order=True)
class Deletion:
    """A point to delete, and the revision that it must still have when it is deleted."""

    id: str
    revision: str | None

    @property
    def sort_key(self) -> tuple[str, str]:
        return self.id, self.revision or ""


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """What the repair of one document does. Texts are named by digest; the source keeps the text."""

    document: str
    """Document key."""
    source: str
    id: str
    revision: str | None
    """Revision to reach; None where the document is gone."""
    reason: str
    encode: tuple[tuple[str, int], ...] = ()
    """(text digest, tokens) of each distinct text that needs an encoder call, sorted."""
    reuse: tuple[str, ...] = ()
    """Digests of the texts whose vector a point of the index supplies, sorted."""
    write: int = 0
    """Points to upsert, encoded or with a reused vector."""
    relabel: int = 0
    """Points whose payload alone is written."""
    delete: tuple[Deletion, ...] = ()
    twin: str = ""
    """Key of another document that holds the same text, where the index says that it did not before."""

    @property
    def empties(self) -> bool:
        """Whether the document is there and has no chunk left of those that the index holds."""
        return self.revision is not None and bool(self.delete) and not revision_chunks(self.revision)

    def to_json(self) -> dict[str, Json]:
        twin: dict[str, Json] = {"twin": self.twin} if self.twin else {}
        return {
            "document": self.document,
            "source": self.source,
            "id": self.id,
            "revision": self.revision,
            "reason": self.reason,
            "encode": [[digest, tokens] for digest, tokens in self.encode],
            "reuse": list(self.reuse),
            "write": self.write,
            "relabel": self.relabel,
            "delete": [[deletion.id, deletion.revision] for deletion in self.delete],
            # Left out where there is none, so that plans keep their digests.
            **twin,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DocumentChange":
        return cls(
            document=str(value["document"]),
            source=str(value["source"]),
            id=str(value["id"]),
            revision=None if value["revision"] is None else str(value["revision"]),
            reason=str(value["reason"]),
            encode=tuple((str(digest), int(tokens)) for digest, tokens in value["encode"]),
            reuse=tuple(str(digest) for digest in value["reuse"]),
            write=int(value["write"]),
            relabel=int(value["relabel"]),
            delete=_deletions(value["delete"]),
            twin=str(value.get("twin", "")),
        )


def _deletions(rows: Iterable[Any]) -> tuple[Deletion, ...]:
    return tuple(Deletion(str(id_), None if revision is None else str(revision)) for id_, revision in rows)


@dataclass(frozen=True, slots=True)
class SourceCount:
    """Documents that a source lists now, and documents of it that the index holds."""

    name: str
    listed: int
    indexed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """What a plan adds up to. Texts that several documents share are encoded, and counted, once."""

    documents: int
    encode_chunks: int
    encode_tokens: int
    write: int
    reuse: int
    relabel: int
    delete: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A repair, frozen. Equal situations give equal plans and equal digests."""

    collection: str
    spec: str
    """Fingerprint of the `IndexSpec` that the plan leads to."""
    create: bool
    """The collection does not exist and is created first."""
    mend: bool
    """The manifest or a payload index is missing or out of date and is written."""
    points: int
    """Points in the collection when it was planned."""
    changes: tuple[DocumentChange, ...] = ()
    sources: tuple[SourceCount, ...] = ()
    malformed: tuple[Deletion, ...] = ()
    """Points to delete that carry labels which ragwatch does not write, and that belong to no document."""
    format: int = field(default=PLAN_FORMAT)

    @property
    def empty(self) -> bool:
        return not (self.changes or self.create or self.mend or self.malformed)

    @property
    def digest(self) -> str:
        return digest_json(self.to_json())

    @property
    def totals(self) -> Totals:
        texts = {digest: tokens for change in self.changes for digest, tokens in change.encode}
        write = sum(change.write for change in self.changes)
        return Totals(
            documents=len(self.changes),
            encode_chunks=len(texts),
            encode_tokens=sum(texts.values()),
            write=write,
            reuse=write - len(texts),
            relabel=sum(change.relabel for change in self.changes),
            delete=sum(len(change.delete) for change in self.changes) + len(self.malformed),
        )

    def to_json(self) -> dict[str, Json]:
        malformed: list[Json] = [[deletion.id, deletion.revision] for deletion in self.malformed]
        return {
            "format": self.format,
            "collection": self.collection,
            "spec": self.spec,
            "create": self.create,
            "mend": self.mend,
            "points": self.points,
            "sources": [[count.name, count.listed, count.indexed, count.complete] for count in self.sources],
            "changes": [change.to_json() for change in self.changes],
            # Left out where there are none, so that plans keep their digests.
            **({"malformed": malformed} if malformed else {}),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Read a plan. Raises `KeyError`, `TypeError` or `ValueError` where the value is not one."""
        if value["format"] != PLAN_FORMAT:
            raise ValueError(f"plan format {value['format']!r}, this version reads {PLAN_FORMAT}")
        return cls(
            collection=str(value["collection"]),
            spec=str(value["spec"]),
            create=bool(value["create"]),
            mend=bool(value["mend"]),
            points=int(value["points"]),
            changes=tuple(DocumentChange.from_json(change) for change in value["changes"]),
            sources=tuple(SourceCount(str(n), int(a), int(b), bool(c)) for n, a, b, c in value["sources"]),
            malformed=_deletions(value.get("malformed", ())),
        )


def plan_change(
    diff: "DocumentDiff", *, source: str, document_id: str, reason: str, encode: Mapping[str, int]
) -> DocumentChange:
    """Turn a diff into its change. `encode` gives the tokens of each distinct text that nothing can supply."""
    return DocumentChange(
        document=diff.key,
        source=source,
        id=document_id,
        revision=diff.desired.revision if diff.desired else None,
        reason=reason,
        encode=tuple(sorted(encode.items())),
        reuse=tuple(sorted({faulty.chunk.digest for faulty in diff.write} - encode.keys())),
        write=len(diff.write),
        relabel=len(diff.relabel),
        delete=tuple(
            sorted((Deletion(s.id, s.revision) for s in diff.surplus), key=lambda deletion: deletion.sort_key)
        ),
    )


def uncovered(saved: Plan, current: Plan) -> list[str]:
    """Say what `current` (planned just now) would do that `saved` did not allow: [] means go ahead.

    A saved plan that was applied in part covers what is left of it; one whose world has moved on does not.
    """
    if saved.spec != current.spec or saved.collection != current.collection:
        return [f"it is for collection {saved.collection} with spec {saved.spec}, not for {current.spec}"]
    allowed = {change.document: change for change in saved.changes}
    problems = []
    for change in current.changes:
        before = allowed.get(change.document)
        if before is None:
            problems.append(f"{change.document}: differs now, and the plan does not name it")
        elif before.revision != change.revision:
            problems.append(f"{change.document}: the source has changed since the plan was made")
        elif not set(change.encode) <= set(before.encode) or not set(change.delete) <= set(before.delete):
            problems.append(f"{change.document}: the index has changed since the plan was made")
    if not set(current.malformed) <= set(saved.malformed):
        problems.append("there are malformed points that the plan does not name")
    return problems


def select_changes(plan: Plan, *, documents: Sequence[str] = (), source: str | None = None) -> Plan:
    """Return the plan restricted to some documents (source-relative ids or keys) or to one source."""
    wanted = frozenset(documents)
    chosen = tuple(
        change
        for change in plan.changes
        if (not wanted or change.id in wanted or change.document in wanted)
        and (source is None or change.source == source)
    )
    # The manifest may promise the new spec only once every document follows it.
    mend = plan.mend and len(chosen) == len(plan.changes)
    malformed = () if wanted or source is not None else plan.malformed
    return replace(plan, changes=chosen, mend=mend, malformed=malformed)
