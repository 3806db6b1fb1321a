"""The corpus of `drift.py`, and its vectors under every kind of drift."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.django_docs import docs_folder
from benchmarks.drift_encoders import (
    DIMENSION,
    INT8,
    PARAPHRASE,
    WINDOW,
    batches,
    by_length,
    e5,
    file_of,
    matrix,
    minilm,
    onnx,
    pooled,
    token_counts,
    tokenizer,
)
from benchmarks.measure import REPOSITORY
from ragwatch.corpus.chunking import SectionChunker
from ragwatch.corpus.document import Document
from ragwatch.health.attribution import Cause
from ragwatch.health.variants import text_variants
from ragwatch.index.points import Vectors

CHUNK_TOKENS = 254


@dataclass(frozen=True)
class Corpus:
    """Texts with their lengths in tokens; `name` tells corpora apart in the cache."""

    name: str
    texts: tuple[str, ...]
    documents: tuple[str, ...]
    """Document of each text."""
    tokens: tuple[int, ...]


def load_corpus(folder: Path | None, size: int) -> Corpus:
    """Return `size` random chunks: of `corpus.jsonl` in a BEIR folder, or of the handbook and Django's manual."""
    found = _beir(folder) if folder else _manuals()
    chunks = sorted(found)
    picked = np.random.default_rng(3).permutation(len(chunks))[:size]
    texts = tuple(chunks[place] for place in picked)
    name = f"{folder.name if folder else 'manuals'}-{_digest(texts)}"
    return Corpus(name, texts, tuple(found[text] for text in texts), tuple(token_counts(texts)))


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _beir(folder: Path) -> dict[str, str]:
    lines = (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return {text: one["_id"] for one in found if (text := f"{one.get('title', '')}\n{one['text']}".strip())}


def _manuals() -> dict[str, str]:
    """Return each chunk with its document; of equal chunks the last document counts."""
    chunker = SectionChunker(max_tokens=CHUNK_TOKENS)
    roots = (REPOSITORY / "fixtures" / "handbook" / "v1", docs_folder("5.2"))
    found = {}
    for root in roots:
        for path in sorted(one for one in root.rglob("*") if one.suffix in (".md", ".txt", ".rst")):
            name = f"{root.name}/{path.relative_to(root).as_posix()}"
            for chunk in chunker.split(Document("docs", name, path.read_text(encoding="utf-8")), token_counts):
                found[chunk.text] = name
    return found


@dataclass(frozen=True)
class Variant:
    """One kind of drift: the vectors it leaves in the index, and the cause that is right for it."""

    name: str
    cause: Cause
    vectors: Vectors
    norms: bool = False
    """Only the norms are wrong: it matters under inner product, and the audit is told so."""


def clean_vectors(corpus: Corpus) -> Vectors:
    """Return what the index should hold."""
    return _minilm(corpus, "clean")


def fresh_vectors(corpus: Corpus) -> list[Vectors]:
    """Return what audits encode: other batch sizes, orders and thread counts."""
    import torch

    def again(texts: Sequence[str], size: int, threads: int, shuffled: bool) -> Vectors:
        order = np.random.default_rng(size).permutation(len(texts)).tolist() if shuffled else by_length(texts)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            return pooled(texts, minilm(), batches(len(texts), size, order), tokens=tokenizer())
        finally:
            torch.set_num_threads(before)

    settings = [(1, 1, False), (8, 2, True), (64, 1, False), (32, 2, False)]
    return [
        matrix(
            f"fresh-{size}-{threads}",
            corpus.name,
            corpus.texts,
            partial(again, size=size, threads=threads, shuffled=shuffled),
        )
        for size, threads, shuffled in settings
    ]


def _minilm(
    corpus: Corpus,
    name: str,
    change: Callable[[str], str] = str,
    *,
    precision: str = "float32",
    window: int = WINDOW,
    cased: bool = False,
    cls: bool = False,
    unit: bool = True,
) -> Vectors:
    def make(texts: Sequence[str]) -> Vectors:
        changed = [change(text) for text in texts]
        parts = batches(len(texts), 32, by_length(changed))
        return pooled(changed, minilm(precision), parts, tokens=tokenizer(window, cased), cls=cls, unit=unit)

    return matrix(name, corpus.name, corpus.texts, make)


def query_vectors(corpus: Corpus) -> Vectors:
    """Return the vectors of 200 queries: the first words of as many chunks."""
    words = [" ".join(re.findall(r"\w+", text)[:10]) for text in corpus.texts[:200]]
    texts = [text for text in words if text]
    return matrix(
        "queries",
        corpus.name,
        texts,
        lambda given: pooled(given, minilm(), batches(len(given)), tokens=tokenizer()),
    )


def accidents(corpus: Corpus) -> dict[str, Vectors]:
    """Return the vectors of all texts under each change that an audit tries on the wrong ones."""
    changes = text_variants(corpus.texts, corpus.tokens, count_tokens=token_counts)
    return {name: _changed(corpus, f"tried-{_digest(changed)}", changed) for name, changed in changes.items()}


def _changed(corpus: Corpus, name: str, changed: Sequence[str]) -> Vectors:
    """Encode the changed texts; those that are the same tokens as before keep their vector."""
    before, after = (tokenizer().encode_batch(list(texts)) for texts in (corpus.texts, changed))
    moved = [place for place, pair in enumerate(zip(before, after, strict=True)) if pair[0].ids != pair[1].ids]

    def make(_: Sequence[str]) -> Vectors:
        found = clean_vectors(corpus).copy()
        texts = [changed[place] for place in moved]
        found[moved] = pooled(texts, minilm(), batches(len(texts), 32, by_length(texts)), tokens=tokenizer())
        return found

    return matrix(name, corpus.name, corpus.texts, make)


def without_a_third(text: str) -> str:
    """Return the text as it may have been before an edit: every third sentence or line is missing."""
    parts = re.split(r"(?<=[.!?])\s+|\n+", text)
    return "\n".join(part for place, part in enumerate(parts) if place % 3 != 1 or len(parts) < 2)


def load_variants(corpus: Corpus) -> list[Variant]:
    """Return every kind of drift, encoded once and kept."""
    clean = clean_vectors(corpus)
    rng = np.random.default_rng(11)
    count = len(corpus.texts)

    def exported(texts: Sequence[str], file: Path, output: str) -> Vectors:
        return pooled(texts, onnx(file, output), batches(len(texts), 32, by_length(texts)), tokens=tokenizer())

    def other(name: str, file: Path, output: str) -> Vectors:
        return matrix(name, corpus.name, corpus.texts, partial(exported, file=file, output=output))

    noise = rng.standard_normal((count, DIMENSION)).astype(np.float32)
    raw = _minilm(corpus, "raw", unit=False)
    same = Cause.PREPROCESSING
    return [
        Variant("bfloat16", Cause.PRECISION, _minilm(corpus, "bfloat16", precision="bfloat16")),
        Variant("int8 (ONNX)", Cause.PRECISION, other("int8", file_of(INT8), "last_hidden_state")),
        Variant("prefix 'query: '", same, _minilm(corpus, "prefix", lambda text: f"query: {text}")),
        Variant("window of 64", same, _minilm(corpus, "window", window=64)),
        Variant("cased tokenizer", same, _minilm(corpus, "cased", cased=True)),
        Variant("CLS pooling", same, _minilm(corpus, "cls", cls=True)),
        Variant("not normalised", same, raw, norms=True),
        Variant(
            "paraphrase-MiniLM-L3", Cause.ANOTHER_ENCODER, other("paraphrase", file_of(PARAPHRASE), "onnx::Shape_422")
        ),
        Variant("multilingual-e5-small", Cause.ANOTHER_ENCODER, matrix("e5", corpus.name, corpus.texts, e5)),
        Variant("other texts", Cause.ANOTHER_TEXT, np.roll(clean, count // 3, axis=0)),
        Variant("text before an edit", Cause.ANOTHER_TEXT, _minilm(corpus, "edited", without_a_third)),
        Variant("random stub", Cause.UNEXPLAINED, noise / np.linalg.norm(noise, axis=1, keepdims=True)),
        Variant("zero vectors", Cause.DEGENERATE, np.zeros_like(clean)),
    ]
