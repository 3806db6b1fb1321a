#!/usr/bin/env bash
# A null in a payload survives an upsert and is dropped, without a word, by "set payload".
#
# Expected: setting {"y": null} sets y to null, as an upsert does (or is refused).
# What happens: an upsert keeps the null; "set payload" neither stores it nor says so, and it removes a value that was
#   there. So a payload that was repaired by "set payload" differs from one that was written whole.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  tell PUT /collections/a '{"vectors": {"size": 2, "distance": "Cosine"}}'
  tell PUT '/collections/a/points?wait=true' \
    '{"points": [{"id": 1, "vector": [1, 0], "payload": {"x": null, "old": 1}}]}'
  found=$(ask POST /collections/a/points '{"ids": [1], "with_payload": true}')
  same "$version: after the upsert" "{'x': None, 'old': 1}" "$(pick "dict(sorted(r[0]['payload'].items(), reverse=True))" <<<"$found")"
  answer=$(ask POST '/collections/a/points/payload?wait=true' '{"points": [1], "payload": {"y": null, "old": null}}')
  same "$version: setting y and old to null is" completed "$(pick "r['status']" <<<"$answer")"
  found=$(ask POST /collections/a/points '{"ids": [1], "with_payload": true}')
  same "$version: and then there is" "{'x': None}" "$(pick "r[0]['payload']" <<<"$found")"
done
