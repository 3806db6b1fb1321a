#!/usr/bin/env bash
# A node that comes back alone says "all shards are ready" and serves points that were deleted.
#
# Expected: a node of a cluster that can reach no other node, and so cannot know what it missed, is not ready.
# What happens: with three replicas, points are deleted while one node is down; then the two others go and that one
#   comes back. /readyz is 200 "all shards are ready" after seconds, the collection is green, and the deleted points are
#   counted. A load balancer that asks /readyz sends its users there.
# Version: Qdrant 1.17.0 and 1.16.3.
# Source: measured here.
set -euo pipefail
work=$(mktemp -d)
. "$(dirname "$0")/common/qdrant_cluster.sh"
count() { ask POST /collections/c/points/count '{"exact": true}' | pick "r['count']"; }
counts() { [ "$(count)" = "$1" ]; }
for version in 1.17.0 1.16.3; do
  start_cluster $version
  tell PUT /collections/c '{"vectors": {"size": 2, "distance": "Cosine"}, "shard_number": 3, "replication_factor": 3}'
  tell PUT '/collections/c/points?wait=true' \
    "$(python3 -c 'import json; print(json.dumps({"points": [{"id": n, "vector": [1, n]} for n in range(100)]}))')"
  node 2
  until_so "node 2 to have all points" counts 100
  kill_node 2
  node 0
  until_so "the delete to be taken" \
    tell POST '/collections/c/points/delete?wait=true' "{\"points\": [$(seq -s , 0 49)]}"
  same "$version: points after the delete, by node 0" 50 "$(count)"
  kill_node 0
  kill_node 1
  start_node 2
  node 2
  began=$SECONDS
  until_so "node 2 to answer" count
  until_so "node 2 to say that it is ready" curl -sf "$url/readyz"
  same "$version: node 2, back alone, /readyz" "all shards are ready" "$(curl -s "$url/readyz")"
  echo "$version: it was so $((SECONDS - began)) seconds after its start"
  same "$version: node 2, status of the collection" green "$(ask GET /collections/c | pick "r['status']")"
  same "$version: node 2, points" 100 "$(count)"
done
