#!/usr/bin/env bash
# In a collection with cosine distance a vector's length counts, when it is small.
#
# Expected: cosine distance looks at the direction alone: [0.0003, 0] scores like [1, 0].
# What happens: a vector shorter than about 0.00035 is kept as it is, not normalised, and scores by its length: last,
#   behind a point at nearly a right angle. A query that is so short shrinks all scores, and a score threshold
#   then lets nothing through. The answers are 200.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here; the square of the length is compared with the smallest step of a 32-bit float.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
scores() {
  ask POST /collections/s/points/query "{\"query\": $1, \"limit\": 9}" |
    pick "dict(sorted((point['id'], float('%.2g' % point['score'])) for point in r['points']))"
}
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  tell PUT /collections/s '{"vectors": {"size": 2, "distance": "Cosine"}}'
  tell PUT '/collections/s/points?wait=true' \
    '{"points": [{"id": 1, "vector": [1, 0]}, {"id": 2, "vector": [0.0004, 0]}, {"id": 3, "vector": [0.0003, 0]},
    {"id": 4, "vector": [0.01, 1]}]}'
  found=$(ask POST /collections/s/points '{"ids": [2, 3], "with_vector": true}')
  same "$version: [0.0004, 0] and [0.0003, 0] are kept as" "[[1.0, 0.0], [0.0003, 0.0]]" \
    "$(pick "[[float('%.2g' % one) for one in point['vector']] for point in r]" <<<"$found")"
  same "$version: scores of [1, 0] by id" "{1: 1.0, 2: 1.0, 3: 0.0003, 4: 0.01}" "$(scores '[1, 0]')"
  same "$version: scores of [0.0001, 0] by id" "{1: 0.0001, 2: 0.0001, 3: 3e-08, 4: 1e-06}" "$(scores '[0.0001, 0]')"
done
