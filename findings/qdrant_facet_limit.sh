#!/usr/bin/env bash
# An exact facet with a limit lists wrong counts, and not the most frequent values, as soon as there are three nodes.
#
# Expected: {"limit": 10, "exact": true} gives the ten most frequent values and the numbers of their points.
# What happens: counts are too low and frequent values are missing, as if each shard had given its own ten alone. With
#   a limit that is not below the number of values, and on one node with as many shards, the same points are counted
#   right. So a facet that was right stops being so when a server becomes a cluster.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here, on healthy nodes without writes.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant_cluster.sh"
make_body() {
  python3 -c '
import json, random
documents = [f"{n}.md" for n in range(40) for _ in range(20 + n % 5)]
random.Random(1).shuffle(documents)
points = [{"id": n, "vector": [1, n], "payload": {"doc": one}} for n, one in enumerate(documents)]
print(json.dumps({"points": points}))' >"$work/body"
}
fill() {
  tell PUT /collections/c '{"vectors": {"size": 2, "distance": "Cosine"}, "shard_number": 3}'
  tell PUT '/collections/c/index?wait=true' '{"field_name": "doc", "field_schema": "keyword"}'
  tell PUT '/collections/c/points?wait=true' "@$work/body"
}
counts() {
  ask POST /collections/c/facet "{\"key\": \"doc\", \"limit\": $1, \"exact\": true}" |
    pick "[hit['count'] for hit in r['hits']][:8]"
}
make_body
for version in 1.17.0 1.16.3; do
  start_qdrant $version
  fill
  same "$version: eight most frequent of 40, one node, limit 8" "[24, 24, 24, 24, 24, 24, 24, 24]" "$(counts 8)"
  start_cluster $version
  fill
  same "$version: three nodes, limit 40" "[24, 24, 24, 24, 24, 24, 24, 24]" "$(counts 40)"
  found=$(counts 8)
  printf '%-58s %s\n' "$version: three nodes, limit 8" "$found"
  if [ "$found" = "[24, 24, 24, 24, 24, 24, 24, 24]" ]; then echo "no longer so" >&2; exit 1; fi
done
