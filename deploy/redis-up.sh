#!/usr/bin/env bash
# Starts a Redis without persistence on a free port of 127.0.0.1.
#
#   deploy/redis-up.sh [DIR [PORT]]   prints its URL when it answers
#   kill "$(cat DIR/redis.pid)"       stops it
set -euo pipefail

TRIES=5
READY_SECONDS=10

fail() { echo "redis-up: $*" >&2; exit 1; }

for command in redis-server redis-cli; do
    command -v "$command" >/dev/null || fail "$command not found; apt-get install redis-server"
done

DIR=${1:-$(mktemp -d "${TMPDIR:-/tmp}/nowcast-redis.XXXXXX")}
mkdir -p "$DIR"
if [[ -f $DIR/redis.pid ]] && kill -0 "$(<"$DIR/redis.pid")" 2>/dev/null; then
    fail "already running in $DIR as process $(<"$DIR/redis.pid")"
fi

# Whether the server that answers on the port is the process we started.
answers() { redis-cli -p "$1" info server 2>/dev/null | grep -q "^process_id:$2[^0-9]*$"; }

for ((try = 0; try < TRIES; try++)); do
    PORT=${2:-$((20000 + RANDOM % 10000))}
    setsid redis-server --port "$PORT" --bind 127.0.0.1 --save '' --appendonly no --dir "$DIR" \
        --daemonize no >"$DIR/redis.log" 2>&1 </dev/null &
    PID=$!
    echo "$PID" >"$DIR/redis.pid"
    for ((end = SECONDS + READY_SECONDS; SECONDS < end;)); do
        if answers "$PORT" "$PID"; then
            echo "redis://127.0.0.1:$PORT"
            exit 0
        fi
        kill -0 "$PID" 2>/dev/null || break # the port was taken
        sleep 0.05
    done
    kill "$PID" 2>/dev/null || true
    [[ -z ${2-} ]] || break
done
cat "$DIR/redis.log" >&2
fail "no answer; see $DIR/redis.log"
