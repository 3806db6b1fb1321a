"""Requests are told apart by what they write and by how they name it; what only reads is no write."""

import json

import pytest

from tests.servers.writes import RESTARTED, kinds_of

POINT = {"id": 1, "vector": [1.0], "payload": {"filter": "a payload's own key"}}


@pytest.mark.parametrize(
    ("method", "path", "body", "kinds"),
    [
        ("GET", "/collections/docs", None, set()),
        ("POST", "/collections/docs/points", {"ids": [1]}, set()),
        ("POST", "/collections/docs/points/scroll", {"filter": {}}, set()),
        ("POST", "/collections/docs/points/query", {"filter": {}}, set()),
        ("POST", "/collections/docs/facet", {"key": "a", "filter": {}}, set()),
        ("PUT", "/collections/docs?timeout=1", {"vectors": {}}, {"PUT /collections/{collection}"}),
        ("DELETE", "/collections/docs/index/_ragwatch.rev", None, {"DELETE /collections/{collection}/index/{field}"}),
        ("PUT", "/collections/docs/points", {"points": [POINT]}, {"PUT /collections/{collection}/points: points"}),
        (
            "PUT",
            "/collections/docs/points",
            {"points": [POINT], "update_filter": {}},
            {"PUT /collections/{collection}/points: update_filter"},
        ),
        (
            "POST",
            "/collections/docs/points/delete",
            {"filter": {}},
            {"POST /collections/{collection}/points/delete: filter"},
        ),
        (
            "POST",
            "/collections/docs/points/batch",
            {"operations": [{"delete": {"points": [1]}}, {"set_payload": {"payload": {}, "filter": {}}}]},
            {
                "POST /collections/{collection}/points/batch: delete points",
                "POST /collections/{collection}/points/batch: set_payload filter",
            },
        ),
        (
            "POST",
            "/collections/aliases",
            {"actions": [{"rename_alias": {}}, {"create_alias": {}}]},
            {"POST /collections/aliases: rename_alias", "POST /collections/aliases: create_alias"},
        ),
        ("POST", "/collections/docs/snapshots", None, {"POST /collections/{collection}/snapshots"}),
    ],
)
def test_kinds_of_writes(method: str, path: str, body: object, kinds: set[str]) -> None:
    assert kinds_of(method, path, json.dumps(body).encode() if body else b"") == kinds


def test_nothing_that_a_server_evaluates_is_among_what_the_program_writes() -> None:
    assert not [kind for kind in RESTARTED if "filter" in kind or "everything" in kind]
