"""Which kinds of requests write to a Qdrant server: method, path, operations, and how the points are named.

`RESTARTED` lists the kinds after which servers were stopped and started again (`tests/verbs/test_restarts.py`). A write
of another kind fails whatever test makes it: its restart is to be tried first.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

READING = re.compile(r"/points(/(scroll|count|query|search|recommend|discover)(/\w+)*)?$|/facet$|/search/matrix/\w+$")
CONDITIONS = frozenset({"filter", "update_filter"})

RESTARTED = frozenset(
    {
        "PUT /collections/{collection}",
        "PATCH /collections/{collection}",
        "DELETE /collections/{collection}",
        "PUT /collections/{collection}/index",
        "PUT /collections/{collection}/points: points",
        "POST /collections/{collection}/points/delete: points",
        "POST /collections/{collection}/points/batch: set_payload points",
        "POST /collections/{collection}/points/batch: overwrite_payload points",
        "POST /collections/aliases: create_alias",
        "POST /collections/aliases: delete_alias",
        "POST /collections/aliases: rename_alias",
    }
)


def kinds_of(method: str, path: str, body: bytes) -> set[str]:
    """Return the kinds of writes in a request over REST, none where it only reads.

    What a server evaluates itself shows as "filter" or "update_filter".
    """
    path = path.partition("?")[0]
    if method in ("GET", "HEAD") or (method == "POST" and READING.search(path)):
        return set()
    known = path.startswith("/collections/aliases")
    shape = path if known else re.sub(r"^(/collections/)[^/]+", r"\1{collection}", path)
    shape = re.sub(r"(/index/).+$", r"\1{field}", shape)
    value = json.loads(body) if body else {}
    named = {f"{method} {shape}: {words}" for words in _operations(shape, value)}
    return named or {f"{method} {shape}"}


def _operations(shape: str, value: Mapping[str, Any]) -> Iterator[str]:
    if shape == "/collections/aliases":
        for action in value["actions"]:
            yield from action
    elif shape.endswith("/points/batch"):
        for operation in value["operations"]:
            yield from (f"{name} {_named_by(change)}" for name, change in operation.items())
    elif "/points" in shape:
        yield _named_by(value)


def _named_by(change: Any) -> str:
    """Say by what the points of a change are named."""
    if isinstance(change, list):
        return "points"
    found = sorted(CONDITIONS & {key for key, value in change.items() if value is not None})
    return " ".join(found) or ("points" if {"points", "batch"} & change.keys() else "everything")
