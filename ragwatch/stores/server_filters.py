"""Filters in the server's terms."""

from collections.abc import Mapping, Sequence

from qdrant_client import models

from ragwatch.index.points import Key
from ragwatch.index.spec import Layout
from ragwatch.ports import Scalar
from ragwatch.stores.points import field_path


def with_ids(ids: Sequence[int | str]) -> models.Filter:
    """Points with one of `ids`."""
    return models.Filter(must=[models.HasIdCondition(has_id=list(ids))])


def with_values(path: str, values: Sequence[str]) -> models.Filter:
    """Points whose field at `path` equals any of `values`; with no values, points that have no such field."""
    return models.Filter(must=[_field(path, values)])


def with_fields(fields: Mapping[str, Scalar]) -> models.Filter:
    """Points whose payload has all of these values."""
    return models.Filter(
        must=[models.FieldCondition(key=path, match=models.MatchValue(value=value)) for path, value in fields.items()]
    )


def with_revision(ids: Sequence[int | str], revision: str | None, layout: Layout) -> models.Filter:
    """Those of `ids` whose revision is `revision`, or that have none."""
    field = _field(field_path(Key.REVISION, layout), [] if revision is None else [revision])
    return models.Filter(must=[models.HasIdCondition(has_id=list(ids)), field])


def _field(path: str, values: Sequence[str]) -> models.IsEmptyCondition | models.FieldCondition:
    if not values:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=path))
    match = models.MatchValue(value=values[0]) if len(values) == 1 else models.MatchAny(any=list(values))
    return models.FieldCondition(key=path, match=match)
