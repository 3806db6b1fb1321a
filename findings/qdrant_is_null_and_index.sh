#!/usr/bin/env bash
# Creating a payload index changes which points a filter finds.
#
# Expected: an index makes a filter faster and leaves its answer as it is.
# What happens: "is_null" finds a point whose list holds a null only once the field has an index. And a point without
#   the field at all is never among those with fewer than one value.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
found() { ask POST /collections/n/points/scroll "{\"filter\": {\"must\": [$1]}}" | pick "[point['id'] for point in r['points']]"; }
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  tell PUT /collections/n '{"vectors": {"size": 2, "distance": "Cosine"}}'
  tell PUT '/collections/n/points?wait=true' '{"points": [
    {"id": 1, "vector": [1, 0], "payload": {"t": null}}, {"id": 2, "vector": [1, 0], "payload": {}},
    {"id": 3, "vector": [1, 0], "payload": {"t": []}}, {"id": 4, "vector": [1, 0], "payload": {"t": [null]}}]}'
  same "$version: t is null, without an index" "[1]" "$(found '{"is_null": {"key": "t"}}')"
  tell PUT '/collections/n/index?wait=true' '{"field_name": "t", "field_schema": "keyword"}'
  same "$version: t is null, with an index (4 holds [null])" "[1, 4]" "$(found '{"is_null": {"key": "t"}}')"
  same "$version: t has fewer than 1 value (2 has no t)" "[1, 3]" "$(found '{"key": "t", "values_count": {"lt": 1}}')"
done
