#!/usr/bin/env bash
# Tests against the client's local mode pass for requests that the server answers otherwise.
#
# Expected: QdrantClient(":memory:") and QdrantClient(path=...) answer as the server does, or refuse what they cannot.
# What happens: a facet and an order by a field without a payload index are errors on the server and answers in local
#   mode (the order is an empty page, of a collection of four points); filters by null and by the number of values find
#   other points.
# Version: qdrant-client 1.20.0 against Qdrant 1.17.0.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
packages qdrant-client==1.20.0
start_qdrant 1.17.0
"$python" - "$url" <<'PYTHON'
import sys

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

payloads = [{"doc": "a", "t": None}, {"doc": "b"}, {"doc": "b", "t": []}, {"doc": "b", "t": [None]}]


def scroll(client, **chosen):
    return [point.id for point in client.scroll("docs", **chosen)[0]]


null = models.Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="t"))])
few = models.Filter(must=[models.FieldCondition(key="t", values_count=models.ValuesCount(lt=1))])
questions = {
    "facet by doc": lambda client: [(hit.value, hit.count) for hit in client.facet("docs", "doc").hits],
    "ordered by doc": lambda client: scroll(client, order_by="doc"),
    "t is null": lambda client: scroll(client, scroll_filter=null),
    "t has fewer than 1 value": lambda client: scroll(client, scroll_filter=few),
}
answers = []
for client in (QdrantClient(sys.argv[1], check_compatibility=False), QdrantClient(":memory:")):
    client.create_collection("docs", models.VectorParams(size=2, distance=models.Distance.COSINE))
    points = [models.PointStruct(id=n, vector=[1, 0], payload=one) for n, one in enumerate(payloads, 1)]
    client.upsert("docs", points, wait=True)
    answers.append([])
    for ask in questions.values():
        try:
            answers[-1].append(ask(client))
        except UnexpectedResponse as refused:
            answers[-1].append(refused.status_code)
for what, server, local in zip(questions, *answers):
    print(f"{what:25} server: {server!s:15} local mode: {local}")
wanted = [
    [400, 400, [1], [1, 3]],
    [[("b", 3), ("a", 1)], [], [1, 4], [1, 2, 3]],
]
assert answers == wanted, f"no longer so: {answers}"
PYTHON
