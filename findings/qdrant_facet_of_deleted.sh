#!/usr/bin/env bash
# A facet goes on listing values that no point has any more.
#
# Expected: an exact facet lists the values that occur.
# What happens: a value whose last point was deleted stays in the list with a count of 0, until the segment is
#   rebuilt. Who takes the list for the set of documents finds documents that are gone.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  tell PUT /collections/f '{"vectors": {"size": 2, "distance": "Cosine"}}'
  tell PUT '/collections/f/index?wait=true' '{"field_name": "doc", "field_schema": "keyword"}'
  tell PUT '/collections/f/points?wait=true' \
    '{"points": [{"id": 1, "vector": [1, 0], "payload": {"doc": "a"}}, {"id": 2, "vector": [0, 1], "payload": {"doc": "b"}}]}'
  tell POST '/collections/f/points/delete?wait=true' '{"points": [2]}'
  found=$(ask POST /collections/f/facet '{"key": "doc", "limit": 10, "exact": true}')
  same "$version: documents after b was deleted" "[('a', 1), ('b', 0)]" \
    "$(pick "sorted((hit['value'], hit['count']) for hit in r['hits'])" <<<"$found")"
done
