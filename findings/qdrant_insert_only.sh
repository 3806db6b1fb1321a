#!/usr/bin/env bash
# A guard that an older server does not know is passed over, and the point is overwritten.
#
# Expected: a server that does not know the parameter "update_mode" refuses the request.
# What happens: 1.17.0 honours "insert_only" (the point stays, and the answer is "completed" all the same); 1.16.3 reads
#   over it, answers "completed", and overwrites. So whether a conditional write was done is never in the answer, and
#   the version must be asked before a condition is trusted.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
for row in "1.17.0 first" "1.16.3 second"; do
  read -r version left <<<"$row"
  start_qdrant "$version"
  tell PUT /collections/a '{"vectors": {"size": 2, "distance": "Cosine"}}'
  tell PUT '/collections/a/points?wait=true' '{"points": [{"id": 1, "vector": [1, 0], "payload": {"by": "first"}}]}'
  answer=$(ask PUT '/collections/a/points?wait=true' \
    '{"points": [{"id": 1, "vector": [1, 0], "payload": {"by": "second"}}], "update_mode": "insert_only"}')
  same "$version: inserting only, where there is one, is" completed "$(pick "r['status']" <<<"$answer")"
  found=$(ask POST /collections/a/points '{"ids": [1], "with_payload": true}')
  same "$version: the point is by" "$left" "$(pick "r[0]['payload']['by']" <<<"$found")"
done
