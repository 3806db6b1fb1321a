"""The world of `probe_power.py`: a retrieval collection whose documents are edited, and golden queries about them.

Every document exists in `VERSIONS` wordings: its own text with a few sentences of another document put in. Golden
queries ask for a document by real queries that are judged relevant to it and by words of its sentences; kept are
four a document that find it more often than not, over random wordings of everything, as any sane golden set does.
(That choice does not look at the wordings that a quarter begins with, so it leans neither up nor down.) All is
encoded once; an index is then one wording of each document that is not lost, and the rank of a query's document
follows from similarities alone.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import CACHE, note, stopwatch
from ragwatch.index.points import Vectors

VERSIONS = 3
FOREIGN = 0.4
"""Sentences put into a wording, as a share of the document's own."""
EACH = 4
"""Golden queries a document."""
REAL = 2
"""Of these, judged queries of the collection at most."""
CANDIDATES = 12
WORDS = 8
TRIED = 16
"""Random indices in which a candidate is tried."""
K = 10
NEAREST = 48
"""Wordings kept for each query: enough for the first `K` documents of any index."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Ranks = NDArray[np.uint8]


@dataclass(frozen=True)
class World:
    """Golden queries in groups of `EACH` about one document."""

    documents: int
    about: Ints
    """Place of the document that each query is about (q,)."""
    near: NDArray[np.int32]
    """Wordings document * `VERSIONS` + version nearest to each query (q, NEAREST), best first."""
    place: NDArray[np.int16]
    """Where each wording of its own document stands among them, `NEAREST` if behind (q, VERSIONS)."""
    real: int
    """Number of golden queries that are the collection's own."""

    @property
    def units(self) -> int:
        return len(self.about) // EACH


@dataclass(frozen=True)
class Candidate:
    """A query that may become golden."""

    document: int
    text: str
    real: bool


def load(folder: Path, limit: int) -> World:
    """Read a folder in BEIR layout, encode what the cache lacks, and keep the nearest wordings of every query."""
    texts = _documents(folder, limit)
    wordings, candidates = _compose(folder, texts)
    similar = _encode([one.text for one in candidates], "query") @ _encode(wordings, "passage").T
    near = np.argsort(-similar, axis=1)[:, :NEAREST].astype(np.int32)
    about = np.array([one.document for one in candidates], dtype=np.int64)
    found = near[:, None, :] == (about[:, None] * VERSIONS + np.arange(VERSIONS))[:, :, None]
    place = np.where(found.any(axis=2), found.argmax(axis=2), NEAREST).astype(np.int16)
    kept = _answerable(World(len(texts), about, near, place, 0))
    rows = np.array([row for rows in kept for row in rows], dtype=np.int64)
    return World(len(texts), about[rows], near[rows], place[rows], sum(candidates[row].real for row in rows))


def _answerable(every: World) -> list[list[int]]:
    """Return for each document `EACH` of its candidates that find it more often than not; none where they lack."""
    draws = np.random.default_rng(4)
    rows = np.arange(len(every.about))
    hits = np.zeros(len(rows))
    for _ in range(TRIED):
        version = draws.integers(VERSIONS, size=every.documents).astype(np.int8)
        hits += ranks(every, rows, version, np.zeros(every.documents, dtype=np.bool_)) > 0
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(hits > TRIED / 2):
        found.setdefault(int(every.about[row]), []).append(int(row))
    # In random order, so that one query a document is not always the collection's own.
    return [list(draws.permutation(kept[:EACH])) for kept in found.values() if len(kept) >= EACH]


def ranks(world: World, rows: Ints, version: NDArray[np.int8], lost: Bools) -> Ranks:
    """Return the rank of its document for each query of `rows` (n,), 0 behind the first `K`.

    `version` and `lost` are of shape (documents,): what the index holds of each document, and which it cannot find.
    """
    near = world.near[rows]
    document, wording = np.divmod(near, VERSIONS)
    served = (version[document] == wording) & ~lost[document]
    own = world.about[rows]
    place = world.place[rows, version[own]]
    before = np.cumsum(served, axis=1, dtype=np.uint8)
    rank = before[np.arange(len(rows)), np.minimum(place, NEAREST - 1)]
    kept = (place < NEAREST) & ~lost[own] & (rank <= K)
    return np.where(kept, rank, 0).astype(np.uint8)


def _documents(folder: Path, limit: int) -> dict[str, list[str]]:
    """Return up to `limit` documents as sentences, judged ones first, others at random."""
    judged = {id for pairs in _qrels(folder).values() for id in pairs}
    found: dict[str, list[str]] = {}
    for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        text = one["text"] if one["text"].startswith(one.get("title", "")) else f"{one['title']}. {one['text']}"
        sentences = [part.strip() for part in re.split(r"(?<=[.?!])\s+", text) if len(part.split()) > 3]
        if sentences:
            found[one["_id"]] = sentences
    drawn = np.random.default_rng(1).permutation(sorted(found))
    order = sorted(map(str, drawn), key=lambda id: id not in judged)
    return {id: found[id] for id in order[:limit]}


def _qrels(folder: Path) -> dict[str, set[str]]:
    """Return query → documents judged relevant to it."""
    found: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        if int(grade) > 0:
            found.setdefault(query, set()).add(document)
    return found


def _compose(folder: Path, texts: dict[str, list[str]]) -> tuple[list[str], list[Candidate]]:
    """Return all wordings, and candidates for golden queries, those of the collection first for each document."""
    draws = np.random.default_rng(2)
    lines = (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    queries = {one["_id"]: one["text"] for one in map(json.loads, lines)}
    judged: dict[str, list[str]] = {}
    for query, documents in _qrels(folder).items():
        for id in sorted(documents):
            judged.setdefault(id, []).append(queries[query])
    ids = list(texts)
    wordings = [
        _edited(own, texts[ids[int(draws.integers(len(ids)))]], draws)
        for own in texts.values()
        for _ in range(VERSIONS)
    ]
    candidates = []
    for place, (id, sentences) in enumerate(texts.items()):
        candidates += [Candidate(place, query, True) for query in judged.get(id, [])[:REAL]]
        derived = [words for sentence in sentences if (words := _words(sentence, draws))]
        shuffled = [str(one) for one in draws.permutation(derived)]
        candidates += [Candidate(place, words, False) for words in shuffled[: CANDIDATES - REAL]]
    return wordings, candidates


def _edited(own: list[str], other: list[str], draws: np.random.Generator) -> str:
    text = list(own)
    for _ in range(max(1, round(FOREIGN * len(own)))):
        text.insert(int(draws.integers(len(text) + 1)), other[int(draws.integers(len(other)))])
    return " ".join(text)


def _words(sentence: str, draws: np.random.Generator) -> str:
    """Return a few content words of a sentence in their order, "" where it has too few."""
    words = [word for word in re.findall(r"[\w-]+", sentence) if len(word) > 3]
    if len(words) < WORDS:
        return ""
    kept = np.sort(draws.choice(len(words), size=WORDS, replace=False))
    return " ".join(words[place] for place in kept)


def _encode(texts: list[str], kind: Any) -> Vectors:
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    path = CACHE / "probe" / f"{kind}-{digest}.npy"
    if path.exists():
        stored: Vectors = np.load(path)
        return stored
    from ragwatch.encoders import SentenceTransformerSettings, open_encoder

    note(f"encoding {len(texts):,} texts")
    # Longest first wastes no padding.
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    encoder = open_encoder(SentenceTransformerSettings())
    with stopwatch() as spent:
        parts = [
            encoder.encode([texts[place] for place in order[start : start + 512]], kind=kind)
            for start in range(0, len(order), 512)
        ]
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    vectors[order] = np.concatenate(parts)
    note(f"{spent.cpu_s:.0f} CPU s")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, vectors)
    return vectors
