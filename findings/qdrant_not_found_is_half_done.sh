#!/usr/bin/env bash
# A write that is refused with 404 "no point with id 99" has been done to the other points.
#
# Expected: an operation whose answer is 404 has changed nothing.
# What happens: "set payload" and "update vectors" of several ids, one of which is missing, change the points that
#   there are, before the missing id and after it, and then answer 404. In a batch the operations before that one are
#   done and those after it are not, with the same answer. (A delete of several ids passes over the missing one.)
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
status() {
  curl -s -o /dev/null -w '%{http_code}' -X "$1" "$url/collections/a/points$2?wait=true" \
    -H 'content-type: application/json' -d "$3"
}
payloads() {
  ask POST /collections/a/points '{"ids": [1, 2, 3], "with_payload": true}' | pick "[point['payload'] for point in r]"
}
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  tell PUT /collections/a '{"vectors": {"size": 2, "distance": "Cosine"}}'
  tell PUT '/collections/a/points?wait=true' \
    '{"points": [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [1, 0]}, {"id": 3, "vector": [1, 0]}]}'
  same "$version: set x on 1, 99 and 2" 404 "$(status POST /payload '{"points": [1, 99, 2], "payload": {"x": 1}}')"
  same "$version: payloads of 1, 2 and 3" "[{'x': 1}, {'x': 1}, {}]" "$(payloads)"
  same "$version: a batch that sets x: 2 on 1, on 99, on 3" 404 "$(status POST /batch '{"operations": [
    {"set_payload": {"points": [1], "payload": {"x": 2}}}, {"set_payload": {"points": [99], "payload": {"x": 2}}},
    {"set_payload": {"points": [3], "payload": {"x": 2}}}]}')"
  same "$version: payloads of 1, 2 and 3" "[{'x': 2}, {'x': 1}, {}]" "$(payloads)"
  same "$version: new vectors for 1, 99 and 2" 404 "$(status PUT /vectors \
    '{"points": [{"id": 1, "vector": [0, 1]}, {"id": 99, "vector": [0, 1]}, {"id": 2, "vector": [0, 1]}]}')"
  found=$(ask POST /collections/a/points '{"ids": [1, 2], "with_vector": true}')
  same "$version: vectors of 1 and 2" "[[0.0, 1.0], [0.0, 1.0]]" "$(pick "[point['vector'] for point in r]" <<<"$found")"
done
