"""Reading from a collection on a Qdrant server, in pages that it accepts.

All at the server's default level, one replica a shard: any higher one fails while a node is dead, and makes a cluster
count most values of a facet twice and cut random samples short, all with status 200 (seen in 1.16, 1.17). What was
acknowledged is in every active replica, so one is enough.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from qdrant_client import QdrantClient, models

from ragwatch.errors import StoreError
from ragwatch.index.points import Key, StoredPoint, Vectors
from ragwatch.ports import Hit, Hybrid, Scalar, Where
from ragwatch.stores.points import field_path, field_value, id_order, native_id, reserved_path
from ragwatch.stores.server_calls import RequestRefusedError
from ragwatch.stores.server_filters import with_fields, with_values
from ragwatch.stores.server_session import ServerSession
from ragwatch.stores.server_sparse import FUSIONS, both_sides
from ragwatch.stores.sparse import check_searched

T = TypeVar("T")

PAGE = 1000
PAGE_BYTES = 8_000_000
NUMBER_BYTES = 22
"""Longest JSON text of one float32 written as a double, with its comma."""
WHERE_VALUES = 10_000
SAMPLE_TRIES = 20
"""Draws of a page each before a large sample is drawn from a list of all ids instead."""
FACET_LIMIT = 1_048_576
"""An exact count that reaches its limit is thrown away and made again, which takes seconds at 100,000 values."""


class ServerReads:
    """The reading half of a `Store`."""

    def __init__(self, session: ServerSession) -> None:
        self._session = session
        self._collection = session.collection
        self._layout = session.settings.layout
        self._vector_name = session.settings.vector_name
        self._page = PAGE

    def count(self) -> int:
        """Return the exact number of points."""
        try:
            return self._session.call(lambda client: client.count(self._collection, exact=True), "count").count
        except RequestRefusedError:
            # Strict mode can forbid exact counts.
            return self.count_ids()

    def count_ids(self) -> int:
        """Return the number of different ids, from pages of them."""
        return sum(1 for _ in self._pages(None, payload=False, vectors=False))

    def facet(self, key: Key) -> dict[str, int]:
        path, shape = field_path(key, self._layout), self._session.shape(fresh=True)
        limit = min(FACET_LIMIT, shape.max_page)
        if key not in shape.indexed_keys:
            fact = f"collection {self._collection!r} has no keyword index on {path}"
            raise StoreError(fact, hint="ragwatch reindex creates it")

        try:
            proven = self._proven_facet(path, limit)
            return self._exact_facet(path, limit) if proven is None else proven
        except RequestRefusedError:
            # Strict mode can forbid exact counts, or a limit as large as the number of values.
            return self._facet_by_scroll(path)

    def _proven_facet(self, path: str, limit: int) -> dict[str, int] | None:
        """Return the server's approximate counts where they are proven exact, else None.

        Approximate counts come straight from the payload index. They can count a point twice (while the
        optimiser moves it) but miss none, so if they add up to the exact number of points that have the
        field, every one of them is exact. That costs a small part of an exact facet, which counts value by value.
        """
        hits = self._session.call(
            lambda client: client.facet(self._collection, path, limit=limit),
            f"count the values of {path} in",
        ).hits
        if len(hits) >= limit:
            return None
        field = models.PayloadField(key=path)
        present = models.Filter(must_not=[models.IsEmptyCondition(is_empty=field)])
        total = self._session.call(
            lambda client: client.count(self._collection, count_filter=present, exact=True), "count"
        ).count
        return _counts(hits) if sum(hit.count for hit in hits) == total else None

    def _exact_facet(self, path: str, limit: int) -> dict[str, int]:
        def counted(limit: int, client: QdrantClient) -> list[models.FacetValueHit]:
            return client.facet(self._collection, path, limit=limit, exact=True).hits

        while True:
            hits = self._session.call(partial(counted, limit), f"count the values of {path} in")
            if len(hits) < limit:
                return _counts(hits)
            limit *= 8

    def _facet_by_scroll(self, path: str) -> dict[str, int]:
        counted: dict[str, int] = {}
        for point in self.scroll(payload=False):
            value = field_value(point.payload, path)
            if isinstance(value, str):
                counted[value] = counted.get(value, 0) + 1
        return counted

    def scroll(
        self, where: Where | None = None, *, vectors: bool = False, payload: bool = True
    ) -> Iterator[StoredPoint]:
        wanted = True if payload else [reserved_path(self._layout)]
        if where is None:
            yield from self._pages(None, payload=wanted, vectors=vectors)
            return
        path = field_path(where.key, self._layout)
        size = min(WHERE_VALUES, self._session.shape().max_values)
        values = list(dict.fromkeys(where.values))
        groups = [values[start : start + size] for start in range(0, len(values), size)] or [[]]
        streams = [self._pages(with_values(path, group), payload=wanted, vectors=vectors) for group in groups]
        if len(streams) == 1:
            yield from streams[0]
            return
        # A point whose field holds several values can be in several groups.
        ordered = heapq.merge(*streams, key=lambda point: id_order(point.id))
        for _, same in itertools.groupby(ordered, key=lambda point: point.id):
            yield next(same)

    def _pages(
        self, condition: models.Filter | None, *, payload: bool | list[str], vectors: bool
    ) -> Iterator[StoredPoint]:
        offset: models.ExtendedPointId | None = None

        def page(size: int, client: QdrantClient) -> tuple[list[models.Record], models.ExtendedPointId | None]:
            return client.scroll(
                self._collection,
                scroll_filter=condition,
                limit=size,
                offset=offset,
                with_payload=payload,
                with_vectors=self._vector_selector(vectors),
            )

        while True:
            records, offset = self._paged(page, "read a page of points of", vectors=vectors)
            for record in records:
                yield self._stored(record)
            if offset is None:
                return

    def fetch(self, ids: Sequence[str], *, vectors: bool = False, payload: bool = True) -> list[StoredPoint]:
        shown = True if payload else [reserved_path(self._layout)]
        wanted = list(dict.fromkeys(native_id(one) for one in ids))
        found: list[StoredPoint] = []
        start = 0

        def page(size: int, client: QdrantClient) -> tuple[int, list[models.Record]]:
            part = wanted[start : start + size]
            selector = self._vector_selector(vectors)
            records = client.retrieve(self._collection, part, with_payload=shown, with_vectors=selector)
            return len(part), records

        while start < len(wanted):
            taken, records = self._paged(page, "fetch points of", vectors=vectors)
            found += [self._stored(record) for record in records]
            start += taken
        return found

    def sample(self, count: int) -> list[str]:
        """Draw without a filter: with one, the server weighs its segments by all their points (seen in 1.16, 1.17)."""
        drawn: dict[str, None] = {}
        wanted = min(count, self.count())

        def page(size: int, client: QdrantClient) -> list[models.ScoredPoint]:
            query = models.SampleQuery(sample=models.Sample.RANDOM)
            limit = min(size, wanted)
            return client.query_points(self._collection, query=query, limit=limit, with_payload=False).points

        for _ in range(SAMPLE_TRIES):
            if len(drawn) >= wanted:
                return list(drawn)[:wanted]
            for point in self._paged(page, "draw a sample of points of", vectors=False):
                drawn.setdefault(str(point.id))
        # Nearly all points are wanted: read the ids, and draw here.
        ids = [point.id for point in self._pages(None, payload=False, vectors=False)]
        return random.sample(ids, min(count, len(ids)))

    def _paged(self, request: Callable[[int, QdrantClient], T], doing: str, *, vectors: bool) -> T:
        """Run `request(size, client)` with the largest page that the server accepts."""
        shape = self._session.shape()
        size = min(self._page, shape.max_page)
        if vectors:
            size = max(1, min(size, PAGE_BYTES // (shape.dimension * NUMBER_BYTES)))
        refused = False
        while True:
            try:
                answer = self._session.call(partial(request, size), doing)
            except RequestRefusedError:
                if size == 1:
                    raise
                refused, size = True, size // 2
            else:
                if refused:
                    self._page = size
                return answer

    def search(
        self, vector: Vectors, limit: int, *, exact: bool = False, fields: Mapping[str, Scalar] | None = None
    ) -> list[Hit]:
        numbers = [float(number) for number in vector]
        found = self._session.call(
            lambda client: client.query_points(
                self._collection,
                query=numbers,
                using=self._vector_name or None,
                query_filter=with_fields(fields) if fields else None,
                limit=limit,
                search_params=models.SearchParams(exact=exact),
                with_payload=True,
            ),
            "search",
        )
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found.points]

    def search_both(
        self,
        vector: Vectors,
        limit: int,
        hybrid: Hybrid,
        *,
        exact: bool = False,
        fields: Mapping[str, Scalar] | None = None,
    ) -> list[Hit]:
        """Search dense and sparse vectors and fuse the results, in one request."""
        sparse = check_searched(self._collection, self._session.shape().sparse, self._session.settings.sparse)
        numbers, condition = [float(number) for number in vector], with_fields(fields) if fields else None
        sides = both_sides(numbers, self._vector_name, sparse, hybrid, condition, exact=exact)
        found = self._session.call(
            lambda client: client.query_points(
                self._collection,
                prefetch=sides,
                query=models.FusionQuery(fusion=FUSIONS[hybrid.fusion]),
                limit=limit,
                with_payload=True,
            ),
            "search",
        )
        return [Hit(str(point.id), point.score, point.payload or {}) for point in found.points]

    def _vector_selector(self, vectors: bool) -> bool | list[str]:
        # The unnamed vector has the empty name, which is given only where there are others to be left out.
        named = self._vector_name or not self._session.shape().single
        return [self._vector_name] if vectors and named else vectors

    def _stored(self, record: models.Record) -> StoredPoint:
        found = record.vector
        numbers = found.get(self._vector_name) if isinstance(found, dict) else found
        vector = None if numbers is None else np.asarray(numbers, dtype=np.float32)
        return StoredPoint(str(record.id), record.payload or {}, vector)


def _counts(hits: Sequence[models.FacetValueHit]) -> dict[str, int]:
    # A value whose last point was deleted stays listed with a count of 0.
    return {str(hit.value): hit.count for hit in hits if hit.count}
