"""Which chunks hold the evidence of golden queries, by id: what measures by id count as relevant."""

from collections.abc import Mapping, Sequence

from ragwatch.errors import RagwatchError
from ragwatch.health.retrieval import RelevantPassage
from ragwatch.index.points import Key, labels_of, text_of
from ragwatch.pipeline import Pipeline, batched
from ragwatch.ports import Passage, Where
from ragwatch.probing.causes import evidence_chunks

DOCUMENTS = 200
"""Documents whose points are asked for at once."""
LOOKED_UP = 1000
"""Ids of results that are looked up to see whether they are points of the index."""

Named = Mapping[str, Sequence[RelevantPassage]]
"""Query id → its passages."""


def relevant_ids(
    pipeline: Pipeline, passages: Named, retrieved: Mapping[str, Sequence[Passage]]
) -> dict[str, tuple[str, ...]]:
    """Return, per query, the ids of the chunks that hold its passages; no entry where that cannot be said.

    They are the points of the index that hold a quote, those that were retrieved among them. A quote that no point
    holds has the id of the chunk that should: it is relevant and cannot be found, which is 0 and not unknown. A
    document without a quote names no chunk.
    """
    asked = {query: named for query, named in passages.items() if named and all(one.quote for one in named)}
    held: dict[tuple[str, RelevantPassage], dict[str, None]] = {}
    for query, named in asked.items():
        for passage in named:
            own = [one.id for one in retrieved.get(query, ()) if one.id and passage.held_by(one.text, one.document)]
            held[query, passage] = dict.fromkeys(own)
    try:
        _indexed(pipeline, held)
    except RagwatchError:
        # What can be said of some queries alone would be a mean over those.
        return {}
    for (_, passage), ids in held.items():
        if not ids:
            ids |= dict.fromkeys(_desired(pipeline, passage))
    found = {query: [held[query, passage] for passage in named] for query, named in asked.items()}
    return {query: tuple(dict.fromkeys(id for ids in sets for id in ids)) for query, sets in found.items() if all(sets)}


def names_points(pipeline: Pipeline, retrieved: Mapping[str, Sequence[Passage]]) -> bool:
    """Say whether the ids of results are ids of points: a pipeline of the user's may have others."""
    ids = dict.fromkeys(one.id for passages in retrieved.values() for one in passages if one.id)
    try:
        return bool(pipeline.store.fetch(list(ids)[:LOOKED_UP]))
    except RagwatchError:
        return False


def _indexed(pipeline: Pipeline, held: Mapping[tuple[str, RelevantPassage], dict[str, None]]) -> None:
    """Add the points of the index that hold a passage, looked for in the document that it names."""
    wanted: dict[str, list[tuple[str, RelevantPassage]]] = {}
    for query, passage in held:
        for source in pipeline.sources:
            if passage.source in ("", source.name):
                wanted.setdefault(f"{source.name}:{passage.document}", []).append((query, passage))
    for keys in batched(sorted(wanted), DOCUMENTS):
        for point in pipeline.store.scroll(Where(Key.DOCUMENT, tuple(keys))):
            labels, text = labels_of(point.payload, pipeline.layout), text_of(point.payload, pipeline.layout) or ""
            for query, passage in wanted.get(labels.document, ()) if labels else ():
                if passage.held_by(text, passage.document):
                    held[query, passage][point.id] = None


def _desired(pipeline: Pipeline, passage: RelevantPassage) -> list[str]:
    try:
        return [chunk.id for chunk in evidence_chunks(pipeline, passage)[1]]
    except RagwatchError:
        return []
