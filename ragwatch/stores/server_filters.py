"""Filters in the server's terms, for reading alone: nothing is written by a filter (see `Store`)."""

from collections.abc import Mapping, Sequence

from qdrant_client import models

from ragwatch.ports import Scalar


def with_values(path: str, values: Sequence[str]) -> models.Filter:
    """Points whose field at `path` equals any of `values`; with no values, points that have no such field."""
    return models.Filter(must=[_field(path, values)])


def with_fields(fields: Mapping[str, Scalar]) -> models.Filter:
    """Points whose payload has all of these values."""
    return models.Filter(
        must=[models.FieldCondition(key=path, match=models.MatchValue(value=value)) for path, value in fields.items()]
    )


def _field(path: str, values: Sequence[str]) -> models.IsEmptyCondition | models.FieldCondition:
    if not values:
        return models.IsEmptyCondition(is_empty=models.PayloadField(key=path))
    match = models.MatchValue(value=values[0]) if len(values) == 1 else models.MatchAny(any=list(values))
    return models.FieldCondition(key=path, match=match)
