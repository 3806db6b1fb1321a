#!/usr/bin/env bash
# A collection of bytes takes the vectors of a normalising encoder, answers 200, and keeps zeros.
#
# Expected: a collection with datatype uint8 scales or quantises what it is given, or refuses what is not 0 to 255.
# What happens: each component is cut to a whole number, so a unit vector becomes zeros. The query is cut in the same
#   way, so that every point scores 0 and the search still answers.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant.sh"
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  tell PUT /collections/u '{"vectors": {"size": 4, "distance": "Cosine", "datatype": "uint8"}}'
  answer=$(ask PUT '/collections/u/points?wait=true' \
    '{"points": [{"id": 1, "vector": [0.5, 0.5, 0.5, 0.5]}, {"id": 2, "vector": [10, 20, 30, 250]}]}')
  same "$version: the write is" completed "$(pick "r['status']" <<<"$answer")"
  found=$(ask POST /collections/u/points '{"ids": [1, 2], "with_vector": true}')
  same "$version: [0.5, 0.5, 0.5, 0.5] is kept as" "[0.0, 0.0, 0.0, 0.0]" "$(pick "r[0]['vector']" <<<"$found")"
  hits=$(ask POST /collections/u/points/query '{"query": [0.5, 0.5, 0.5, 0.5], "limit": 2}')
  same "$version: scores of a unit query" "[0.0, 0.0]" "$(pick "[hit['score'] for hit in r['points']]" <<<"$hits")"
done
