# Sourced by scripts that need three Qdrant nodes: `start_cluster VERSION` sets $url to the first; `node N` makes node N
# (0 to 2) the one asked; `kill_node N` is SIGKILL, `start_node N` brings it back. All end with the script.
. "$(dirname "${BASH_SOURCE[0]}")/qdrant.sh"
node_pids=("" "" "")
end_cluster() {
  local number
  for number in 0 1 2; do kill_node $number; done
  cleanup
}
trap end_cluster EXIT

start_cluster() {
  local number
  for number in 0 1 2; do kill_node $number; done
  unpack_qdrant "$1"
  cluster=$work/cluster-$1
  read -r -a ports < <(free_ports 9)
  for number in 0 1 2; do
    mkdir -p "$cluster/$number"
    start_node $number
    if [ $number = 0 ]; then node 0; until_so "the first node to be ready" curl -sf "$url/readyz"; fi
  done
  for number in 2 1 0; do
    node $number
    until_so "node $number to know all" knows_all
  done
}

node() { url=http://127.0.0.1:${ports[$1 * 3]}; }

start_node() {
  local own=http://127.0.0.1:${ports[$1 * 3 + 2]} first=()
  if [ "$1" != 0 ]; then first=(--bootstrap "http://127.0.0.1:${ports[2]}"); fi
  (cd "$cluster/$1" && QDRANT__SERVICE__HOST=127.0.0.1 QDRANT__SERVICE__HTTP_PORT=${ports[$1 * 3]} \
    QDRANT__SERVICE__GRPC_PORT=${ports[$1 * 3 + 1]} QDRANT__CLUSTER__ENABLED=true \
    QDRANT__CLUSTER__P2P__PORT=${ports[$1 * 3 + 2]} QDRANT__STORAGE__WAL__WAL_CAPACITY_MB=1 \
    exec "$member" --disable-telemetry --uri "$own" "${first[@]}" >>log 2>&1) &
  node_pids[$1]=$!
}

kill_node() {
  if [ -z "${node_pids[$1]}" ]; then return; fi
  kill -9 "${node_pids[$1]}" 2>/dev/null || true
  wait "${node_pids[$1]}" 2>/dev/null || true
  node_pids[$1]=
}

knows_all() {
  curl -sf "$url/readyz" && ask GET /cluster | grep -q '"leader":[0-9]' &&
    ask GET /cluster | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)["result"]["peers"]) != 3)'
}

# until_so WHAT COMMAND...: repeat it until it succeeds, a minute at most.
until_so() {
  local what=$1
  shift
  for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.2; done
  echo "waited a minute for $what" >&2
  exit 1
}
