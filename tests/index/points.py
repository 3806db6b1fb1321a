"""Points for the tests of the pure packages: as `apply` would write them, and spoiled in one way each."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ragwatch.corpus.document import Chunk, Document
from ragwatch.index.desired import DesiredDocument, desired_document
from ragwatch.index.points import StoredPoint, Vectors
from ragwatch.index.sketch import sketch_vectors
from ragwatch.index.spec import Distance, IndexSpec, Layout

SPEC = IndexSpec("encoder-1", "chunker-1", 8, Distance.COSINE)


def spec(layout: Layout) -> IndexSpec:
    return replace(SPEC, layout=layout)


def wanted(
    texts: Sequence[str], *, document_id: str = "a.md", layout: Layout = Layout.PLAIN, title: str | None = None
) -> DesiredDocument:
    document = Document("docs", document_id, "\n\n".join(texts), title=title)
    return desired_document(document, [Chunk(text) for text in texts], spec(layout))


def vector_of(text: str) -> Vectors:
    seed = int.from_bytes(text.encode()[:8].ljust(8, b"\0"), "big") % 2**32
    vector = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    unit: Vectors = vector / np.linalg.norm(vector)
    return unit


def stored(document: DesiredDocument, layout: Layout = Layout.PLAIN) -> list[StoredPoint]:
    points = []
    for chunk in document.chunks:
        vector = vector_of(chunk.fields.text)
        sketch = sketch_vectors(vector[None, :])[0]
        payload = chunk.payload(layout, sketch=sketch, written_at="2026-01-01T00:00:00+00:00")
        points.append(StoredPoint(chunk.id, payload, vector))
    return points
