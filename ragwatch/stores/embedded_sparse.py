"""Sparse vectors in the embedded engine: of a callable, or of the engine's own BM25."""

from collections.abc import Sequence
from typing import cast

import qdrant_edge as edge

from ragwatch.errors import ConfigError
from ragwatch.ports import Fusion, Hybrid
from ragwatch.stores.sparse import BM25, Kind, SparseSettings

RRF_K = 2
"""What a server takes where nothing is said."""


def check_encoder(sparse: SparseSettings | None) -> None:
    """Raise `ConfigError` where the engine cannot make the sparse vectors: it knows no server's models."""
    if sparse is None or sparse.encode is not None or sparse.encoder.lower() == BM25:
        return
    raise ConfigError(
        f"store.sparse_encoder {sparse.encoder!r} is a server's model, and the store is embedded",
        hint=f'take "{BM25}", or module:name of a callable, or a Qdrant server: store.url',
    )


def sparse_config(sparse: SparseSettings | None) -> dict[str, edge.EdgeSparseVectorParams]:
    """Return how a new collection keeps the vector: BM25 leaves the inverse document frequency to the index."""
    if sparse is None:
        return {}
    modifier = edge.Modifier.Idf if sparse.encode is None else None
    return {sparse.name: edge.EdgeSparseVectorParams(modifier=modifier)}


def sparse_vectors(sparse: SparseSettings, texts: Sequence[str], kind: Kind) -> list[edge.SparseVector]:
    """Return one vector per text. Raises `EncoderError` where the callable fails."""
    if sparse.encode is None:
        model = edge.Bm25()
        return [model.embed_query(text) if kind == "query" else model.embed_document(text) for text in texts]
    return [edge.SparseVector(one.indices, one.values) for one in sparse.vectors(texts, kind)]


def fused(
    dense: list[float],
    vector_name: str,
    sparse: SparseSettings,
    hybrid: Hybrid,
    limit: int,
    condition: edge.Filter | None,
    *,
    exact: bool,
) -> edge.QueryRequest:
    """Return the request of a dense and a sparse search whose results are fused."""
    (asked,) = sparse_vectors(sparse, [hybrid.text], "query")
    params = edge.SearchParams(exact=exact)
    sides = [
        edge.Query.Nearest(dense, using=vector_name or None),
        edge.Query.Nearest(asked, using=sparse.name),
    ]
    # The classes inside `Fusion` are instances of it; the stubs do not say so.
    fusion = edge.Fusion.Rrf(k=RRF_K) if hybrid.fusion is Fusion.RRF else edge.Fusion.Dbsf()
    return edge.QueryRequest(
        query=cast("edge.Fusion", fusion),
        prefetches=[edge.Prefetch(hybrid.candidates, query=one, params=params, filter=condition) for one in sides],
        limit=limit,
        with_payload=True,
    )
