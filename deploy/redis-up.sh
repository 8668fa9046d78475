#!/usr/bin/env bash
# Starts a Redis without persistence on a free port of 127.0.0.1, or a cluster of three masters.
#
#   deploy/redis-up.sh [DIR [PORT]]      prints its URL when it answers
#   deploy/redis-up.sh --cluster [DIR]   prints the URL of one of the nodes when all slots are served
#   kill $(cat DIR/*.pid)                stops it
set -euo pipefail

TRIES=5
READY_SECONDS=10
NODES=3

fail() { echo "redis-up: $*" >&2; exit 1; }

for command in redis-server redis-cli; do
    command -v "$command" >/dev/null || fail "$command not found; apt-get install redis-server"
done

CLUSTER=
if [[ ${1-} == --cluster ]]; then
    CLUSTER=1
    shift
fi
DIR=${1:-$(mktemp -d "${TMPDIR:-/tmp}/nowcast-redis.XXXXXX")}
mkdir -p "$DIR"
for pid in "$DIR"/*.pid; do
    [[ ! -f $pid ]] || ! kill -0 "$(<"$pid")" 2>/dev/null ||
        fail "already running in $DIR as process $(<"$pid")"
done

# Whether the server that answers on the port is the process we started.
answers() { redis-cli -p "$1" info server 2>/dev/null | grep -q "^process_id:$2[^0-9]*$"; }

# Starts a server of a name, on this port or on a free one: PORT, PID.
start() {
    local name=$1 port=${2-}
    shift $(($# < 2 ? $# : 2))
    for ((try = 0; try < TRIES; try++)); do
        PORT=${port:-$((20000 + RANDOM % 10000))}
        setsid redis-server --port "$PORT" --bind 127.0.0.1 --save '' --appendonly no --dir "$DIR" \
            --daemonize no "$@" >"$DIR/$name.log" 2>&1 </dev/null &
        PID=$!
        echo "$PID" >"$DIR/$name.pid"
        for ((end = SECONDS + READY_SECONDS; SECONDS < end;)); do
            ! answers "$PORT" "$PID" || return 0
            kill -0 "$PID" 2>/dev/null || break # the port was taken
            sleep 0.05
        done
        kill "$PID" 2>/dev/null || true
        [[ -z $port ]] || break
    done
    cat "$DIR/$name.log" >&2
    fail "no answer; see $DIR/$name.log"
}

if [[ -z $CLUSTER ]]; then
    start redis "${2-}"
    echo "redis://127.0.0.1:$PORT"
    exit 0
fi

NODE_ADDRESSES=()
for ((node = 0; node < NODES; node++)); do
    # Its bus has a port of its own, 10000 above; where that is taken too, another one is tried.
    start "node-$node" '' --cluster-enabled yes --cluster-config-file "node-$node.conf"
    NODE_ADDRESSES+=("127.0.0.1:$PORT")
done
redis-cli --cluster create "${NODE_ADDRESSES[@]}" --cluster-yes >"$DIR/cluster.log" 2>&1 ||
    { cat "$DIR/cluster.log" >&2; fail "no cluster; see $DIR/cluster.log"; }
for address in "${NODE_ADDRESSES[@]}"; do
    for ((end = SECONDS + READY_SECONDS; SECONDS < end;)); do
        ! redis-cli -p "${address#*:}" cluster info | grep -q '^cluster_state:ok' || continue 2
        sleep 0.05
    done
    fail "$address serves no slots; see $DIR/cluster.log"
done
echo "redis://${NODE_ADDRESSES[0]}"
