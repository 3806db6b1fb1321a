"""Findings about a collection as a whole: is it there, and was it made by this configuration?"""

from collections.abc import Collection, Mapping, Sequence

from ragwatch.corpus.identity import Json
from ragwatch.health.findings import Finding, Kind
from ragwatch.index.encoder_diff import change_words, diff_shapes
from ragwatch.index.points import Key
from ragwatch.index.spec import SCHEMA_VERSION, CollectionInfo, IndexSpec, Manifest

REINDEX = "ragwatch reindex"
OTHER_COLLECTION = "set the configuration back, or index into a new collection: give `collection` a new name"
MIGRATE = "set the configuration back, or move the index to it without an outage: ragwatch migrate plan"
ONE_KEY = "let the program that writes the collection keep each id under one key alone"
BM25 = "qdrant/bm25"
"""Qdrant's own BM25: tokenising, stemming and weights in the engine, without a network (server and embedded)."""
SHOWN = 5
"""Points that a finding of the collection names."""
MIGRATING = "change the configuration as this says: ragwatch migrate status"


def conflicts(
    info: CollectionInfo | None, spec: IndexSpec, shape: Mapping[str, Json] | None = None, *, unkept: str = ""
) -> list[tuple[Kind, str]]:
    """Say why `spec` must not be written into this collection: [] where it may.

    `shape` is the configured encoder's; with it, the settings that differ are named. `unkept` says why the collection
    would not keep the encoder's vectors, "" where it would.
    """
    if info is None:
        return []
    found = []
    manifest = info.manifest
    if info.dimension != spec.dimension:
        fact = f"its vectors have {info.dimension} dimensions, the configured encoder makes {spec.dimension}"
        found.append((Kind.ENCODER_MISMATCH, fact))
    if manifest is not None and manifest.encoder != spec.encoder:
        found.append((Kind.ENCODER_MISMATCH, _another_encoder(manifest, spec, shape)))
    if info.distance != spec.distance:
        fact = f"it measures {info.distance} distance, the configuration says {spec.distance}"
        found.append((Kind.LAYOUT_MISMATCH, fact))
    if unkept:
        found.append((Kind.LAYOUT_MISMATCH, unkept))
    if manifest is not None and manifest.layout != spec.layout:
        fact = f"its payload layout is {manifest.layout}, the configuration says {spec.layout}"
        found.append((Kind.LAYOUT_MISMATCH, fact))
    if manifest is not None and manifest.schema > SCHEMA_VERSION:
        fact = f"its schema version is {manifest.schema}, this ragwatch knows {SCHEMA_VERSION}: upgrade ragwatch"
        found.append((Kind.LAYOUT_MISMATCH, fact))
    return found


def unwritten_remedy(sparse: Collection[str], unwritten: Sequence[str]) -> str:
    """Return the next step where a collection has vectors that are not written: a sparse one can be, a dense not."""
    if any(name not in sparse for name in unwritten):
        return "let the program that makes those vectors write the points, or keep them in a collection of their own"
    return f'name it in store.sparse_vector and what makes it in store.sparse_encoder ("{BM25}", or module:name)'


def _another_encoder(manifest: Manifest, spec: IndexSpec, shape: Mapping[str, Json] | None) -> str:
    fact = f"it was made by encoder {manifest.encoder}, the configured one is {spec.encoder}"
    if not manifest.encoder_shape or not shape:
        return fact
    changes = diff_shapes(manifest.encoder_shape, shape, distance=spec.distance)
    return f"{fact}: {change_words(changes)}" if changes else fact


def collection_findings(
    collection: str,
    info: CollectionInfo | None,
    spec: IndexSpec,
    shape: Mapping[str, Json] | None = None,
    *,
    migrating: bool = False,
    unkept: str = "",
) -> list[Finding]:
    """Return the findings that the collection's description alone shows.

    `shape` and `unkept` as in `conflicts`; `migrating` says that collection and configuration are two sides of one
    migration.
    """
    if info is None:
        return [Finding(Kind.COLLECTION_MISSING, collection, "the collection does not exist", REINDEX)]
    clashes = conflicts(info, spec, shape, unkept=unkept)
    found = []
    for kind in (Kind.ENCODER_MISMATCH, Kind.LAYOUT_MISMATCH):
        facts = [fact for clash, fact in clashes if clash is kind]
        if facts:
            remedy = MIGRATE if kind is Kind.ENCODER_MISMATCH else OTHER_COLLECTION
            remedy = MIGRATING if migrating else remedy
            found.append(Finding(kind, collection, "; ".join(facts), remedy))
    if info.manifest is None and info.points:
        reason = "the collection carries no manifest of ragwatch's"
        found.append(Finding(Kind.MANIFEST_MISSING, collection, reason, REINDEX))
    if info.manifest is not None and info.manifest.chunker != spec.chunker:
        reason = f"cut by chunker {info.manifest.chunker}, the configured one is {spec.chunker}"
        found.append(Finding(Kind.CHUNKER_MISMATCH, collection, reason, MIGRATING if migrating else REINDEX))
    if info.twice:
        reason = f"{info.twice} points have the id of a point under another shard key: counted, and never shown"
        found.append(Finding(Kind.DUPLICATE, collection, reason, ONE_KEY, points=info.twice))
    absent = sorted(set(Key) - info.indexed_keys)
    if absent:
        reason = f"no payload index on {', '.join(absent)}: filters are slow and counts impossible"
        found.append(Finding(Kind.PAYLOAD_INDEX_MISSING, collection, reason, REINDEX))
    return found


def unclaimed_findings(
    info: CollectionInfo, foreign: int, foreign_ids: Sequence[str], malformed: Mapping[str, str]
) -> list[Finding]:
    """Return the findings about points that belong to no document.

    `foreign` is the number of those without labels, `foreign_ids` a few of them; `malformed` says of each of the others
    what is wrong with its labels.
    """
    found = []
    if foreign:
        shown = _sample(foreign_ids, foreign)
        reason = f"{foreign} of {info.points} points were not written by ragwatch ({shown})"
        remedy = "keep other writers out of the collection, or delete these points; ragwatch never does"
        found.append(Finding(Kind.FOREIGN, info.name, reason, remedy, points=foreign))
    if malformed:
        shown = _sample([f"{id_}: {malformed[id_]}" for id_ in sorted(malformed)[:SHOWN]], len(malformed))
        reason = f"{len(malformed)} of {info.points} points carry labels that ragwatch does not write ({shown})"
        found.append(Finding(Kind.MALFORMED, info.name, reason, REINDEX, points=len(malformed), close=True))
    return found


def _sample(shown: Sequence[str], total: int) -> str:
    return ", ".join(shown[:SHOWN]) + (", …" if total > len(shown) else "")
