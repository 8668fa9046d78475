#!/usr/bin/env bash
# What an event costs from a million events to a hundred million, from a thousand keys to ten million, in windows of one slice to
# sixty, and how much more two workers do than one, beside what two processes of one worker each do, which share nothing but the
# machine. The rows are made up by the sources `nexmark` and `datagen` in the same process, and go into a blackhole.
#
#   bench/scale/run.sh [events|keys|slices|workers]...   all of them; prints a Markdown table each
#
# EVENTS (1000000 10000000 100000000), KEYS (1000 100000 1000000 10000000) and SLICES (1 10 60) are the numbers, KEYED (20000000)
# the rows over keys, ROUNDS (3) how often one and two workers are compared, in turn. CPU is of the whole process, with what makes the rows.
# NOWCAST_BINARY is what is measured, instead of a release build.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$HERE/../..
EVENTS=${EVENTS:-1000000 10000000 100000000}
KEYS=${KEYS:-1000 100000 1000000 10000000}
SLICES=${SLICES:-1 10 60}
KEYED=${KEYED:-20000000}
ROUNDS=${ROUNDS:-3}
(($#)) || set -- events keys slices workers

NOWCAST=${NOWCAST_BINARY-}
if [[ -z $NOWCAST ]]; then
    cargo build --quiet --manifest-path "$ROOT/Cargo.toml" --release --workspace --bin nowcast
    NOWCAST=${CARGO_TARGET_DIR:-$ROOT/target}/release/nowcast
fi
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

# Nexmark's events, so many as are set, out of four splits.
events() {
    sed "s/'events.num' = .*/'events.num' = '\${EVENTS}', 'scan.parallelism' = '4'/" "$HERE/../nexmark/table_from_generator.sql"
    cat "$HERE/../nexmark/views.sql"
}
# usage JOB WORKERS [--set NAME=VALUE]...: what the job has used, as JSON.
usage() {
    local job=$1 workers=$2
    shift 2
    local own
    own=$(mktemp -d -p "$WORK")
    { [[ $job == keys ]] || events; cat "$HERE/$job.sql"; } >"$own/$job.sql"
    "$NOWCAST" run "$own/$job.sql" --workers "$workers" "$@" --usage --no-http --fresh --data-dir "$own/data" 2>"$own/log" |
        tail -1 || { cat "$own/log" >&2; exit 1; }
}
# row JOB COUNT USAGE: of a table.
row() {
    python3 -c 'import json, sys
u = json.loads(sys.argv[3])
million = u["rows_read"] / 1e6
figures = u["cpu_s"] / million, million / u["wall_s"], u["rss_peak_bytes"] / 2**20
print("| %s | %s | %.3f | %.2f | %.0f |" % (sys.argv[1], f"{int(sys.argv[2]):,}", *figures))' "$@"
}

for what in "$@"; do
    case $what in
    events)
        printf '\n| job, one worker | events | CPU-s per M | M/s | peak MiB |\n|---|---|---|---|---|\n'
        for job in filter windows; do
            for events in $EVENTS; do
                row $job "$events" "$(usage $job 1 --set "EVENTS=$events")"
            done
        done
        ;;
    keys)
        printf '\n| job, one worker | keys | CPU-s per M | M/s | peak MiB |\n|---|---|---|---|---|\n'
        for keys in $KEYS; do
            row keys "$keys" "$(usage keys 1 --set "EVENTS=$KEYED" --set "KEYS=$((keys - 1))")"
        done
        ;;
    slices)
        printf '\n| job, one worker | slices of a window | CPU-s per M | M/s | peak MiB |\n|---|---|---|---|---|\n'
        for slices in $SLICES; do
            window="HOP(TABLE bid, DESCRIPTOR(\`dateTime\`), INTERVAL '1' SECOND, INTERVAL '$slices' SECOND)"
            row slices "$slices" "$(usage slices 1 --set EVENTS=10000000 --set "WINDOW=$window")"
        done
        ;;
    workers)
        printf '\n| job | M/s with one worker | with two | ratio | of two processes | ratio |\n|---|---|---|---|---|---|\n'
        for job in filter windows total; do
            for ((round = 0; round < ROUNDS; round++)); do
                usage $job 1 --set EVENTS=10000000
                usage $job 2 --set EVENTS=10000000
                usage $job 1 --set EVENTS=10000000 >"$WORK/beside" &
                usage $job 1 --set EVENTS=10000000
                wait $!
                cat "$WORK/beside"
            done | python3 -c 'import json, sys
runs = [json.loads(line) for line in sys.stdin]
one, two = [max(u["rows_read"] / u["wall_s"] for u in runs[at::4]) / 1e6 for at in (0, 1)]
pairs = zip(runs[2::4], runs[3::4])
apart = max(sum(u["rows_read"] for u in pair) / max(u["wall_s"] for u in pair) for pair in pairs) / 1e6
print("| %s | %.2f | %.2f | %.2f | %.2f | %.2f |" % (sys.argv[1], one, two, two / one, apart, apart / one))' "$job"
        done
        ;;
    *) sed -n '2,/^set/{/^#/p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
done
