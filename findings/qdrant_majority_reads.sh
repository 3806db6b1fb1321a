#!/usr/bin/env bash
# A cluster of three that is asked at read consistency "majority" counts values double and loses samples, with 200.
#
# Expected: a stricter read consistency gives the same answer as the default one, or an error.
# What happens: with two replicas of each shard the facet's counts add up to about 1.7 times the number of points,
#   differently in each call; a random sample of 20 has a few points or none. Count and scroll are right at that level,
#   and at the default level all four are.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here, on three healthy nodes without writes.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant_cluster.sh"
points=3000
for version in 1.17.0 1.16.3; do
  start_cluster $version
  tell PUT /collections/c '{"vectors": {"size": 2, "distance": "Cosine"}, "shard_number": 3, "replication_factor": 2}'
  tell PUT '/collections/c/index?wait=true' '{"field_name": "doc", "field_schema": "keyword"}'
  python3 -c '
import json, sys
points = [{"id": n, "vector": [1, n], "payload": {"doc": f"{n % 300}.md"}} for n in range(int(sys.argv[1]))]
print(json.dumps({"points": points}))' $points >"$work/body"
  tell PUT '/collections/c/points?wait=true' "@$work/body"
  for level in "" "?consistency=majority"; do
    name="$version ${level:-by default}:"
    facet=$(ask POST "/collections/c/facet$level" '{"key": "doc", "limit": 300, "exact": true}')
    facet=$(pick "sum(hit['count'] for hit in r['hits'])" <<<"$facet")
    sample=$(ask POST "/collections/c/points/query$level" '{"query": {"sample": "random"}, "limit": 20}')
    sample=$(pick "len(r['points'])" <<<"$sample")
    count=$(ask POST "/collections/c/points/count$level" '{"exact": true}' | pick "r['count']")
    scroll=$(ask POST "/collections/c/points/scroll$level" '{"limit": 5000}' | pick "len(r['points'])")
    same "$name points by count and by scroll" "$points $points" "$count $scroll"
    if [ -z "$level" ]; then
      same "$name points by facet, points in a sample of 20" "$points 20" "$facet $sample"
    else
      printf '%-58s %s\n' "$name points by facet, in a sample of 20" "$facet $sample"
      if [ "$facet" -lt $((points * 5 / 4)) ] || [ "$sample" -gt 15 ]; then echo "no longer so" >&2; exit 1; fi
    fi
  done
done
