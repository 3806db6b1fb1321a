"""Sparse vectors as a Qdrant server takes them: made here by a callable, or there of the text itself."""

from collections.abc import Sequence

from qdrant_client import models

from ragwatch.ports import Fusion, Hybrid
from ragwatch.stores.sparse import BM25, Kind, SparseSettings

FUSIONS = {Fusion.RRF: models.Fusion.RRF, Fusion.DBSF: models.Fusion.DBSF}

ServerSparse = models.SparseVector | models.Document


def sparse_params(sparse: SparseSettings) -> models.SparseVectorParams:
    """Return how a new collection keeps the vector: BM25 leaves the inverse document frequency to the index."""
    idf = models.Modifier.IDF if sparse.encoder.lower() == BM25 else None
    return models.SparseVectorParams(modifier=idf)


def sparse_vectors(sparse: SparseSettings, texts: Sequence[str], kind: Kind) -> list[ServerSparse]:
    """Return one value per text. Raises `EncoderError` where the callable fails."""
    if sparse.encode is None:
        return [models.Document(text=text, model=sparse.encoder) for text in texts]
    return [models.SparseVector(indices=one.indices, values=one.values) for one in sparse.vectors(texts, kind)]


def both_sides(
    dense: list[float],
    vector_name: str,
    sparse: SparseSettings,
    hybrid: Hybrid,
    condition: models.Filter | None,
    *,
    exact: bool,
) -> list[models.Prefetch]:
    """Return the dense and the sparse search whose results are fused."""
    (asked,) = sparse_vectors(sparse, [hybrid.text], "query")
    params = models.SearchParams(exact=exact)
    return [
        models.Prefetch(
            query=dense, using=vector_name or None, limit=hybrid.candidates, filter=condition, params=params
        ),
        models.Prefetch(query=asked, using=sparse.name, limit=hybrid.candidates, filter=condition, params=params),
    ]
