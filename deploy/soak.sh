#!/usr/bin/env bash
# A job under steady load for hours: its memory and its latency must not grow. A real Kafka and a real Redis;
# windows, a model that is replaced again and again, late rows, rows that cannot be read, clients of the live feeds that come and go.
#
#   deploy/soak.sh [--minutes 120] [--rate EVENTS_A_SECOND] [--cpus CORES | --load PERCENT] [--dev]
#
# Without --rate it is 60 % of what the job takes from a full topic, or half of what the sender of deploy/soak.py makes
# where that is less; both are measured first. A job on all cores takes more than the sender makes: --cpus gives it a share of a
# core and no more, as a container's limit does (a control group of this machine; needs root), and measures what it takes within that.
# --load, with --rate, sets that limit behind the warm-up: what the job has used until then is that share of it. Prints a line a minute, then
# the slopes of memory (resident, without pages of files) and p99 with their standard errors; the exit code is 0 where neither grows. --dev
# measures the dev build. Needs what kafka-up.sh and redis-up.sh need, and kcat.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
MINUTES=120 RATE= CPUS= LOAD= PROFILE=(--release) BUILD=release
# Rows by which the job's pace is measured.
CALIBRATION=500000
SHARE=0.6
while (($#)); do
    case $1 in
    --minutes) MINUTES=$2 && shift ;;
    --rate) RATE=$2 && shift ;;
    --cpus) CPUS=$2 && shift ;;
    --load) LOAD=$2 && shift ;;
    --dev) PROFILE=() BUILD=debug ;;
    *) sed -n '2,/^set/{/^#/p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift
done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/nowcast-soak.XXXXXX")
NOWCAST=${NOWCAST_BINARY:-${CARGO_TARGET_DIR:-target}/$BUILD/nowcast}
JOB= GROUP=
end() {
    trap - EXIT
    [[ -z $JOB ]] || kill "$JOB" 2>/dev/null && wait "$JOB" 2>/dev/null || true
    for pid in "$WORK"/*/*.pid; do
        [[ ! -f $pid ]] || kill "$(<"$pid")" 2>/dev/null || true
    done
    [[ -z $GROUP ]] || rmdir "$GROUP" 2>/dev/null || true
    rm -rf "$WORK"
}
trap end EXIT
trap 'exit 130' INT TERM

fail() { echo "soak: $*" >&2; exit 1; }
for command in kcat python3; do command -v "$command" >/dev/null || fail "$command not found"; done
[[ -n ${NOWCAST_BINARY-} ]] || cargo build "${PROFILE[@]}" --workspace --bin nowcast
[[ -z $LOAD || (-n $RATE && -z $CPUS) ]] || fail "--load goes with --rate and without --cpus"
if [[ -n $CPUS$LOAD ]]; then
    if [[ -d /sys/fs/cgroup/cpu ]]; then
        GROUP=/sys/fs/cgroup/cpu/nowcast-soak.$$
    else
        GROUP=/sys/fs/cgroup/nowcast-soak.$$
    fi
    mkdir "$GROUP" || fail "no control group of our own: --cpus and --load need root"
    # With --load no limit as yet, but it is seen whether there can be one.
    (cd deploy && python3 -c 'import sys; from soak import limit; limit(sys.argv[1], float(sys.argv[2]))' "$GROUP" "${CPUS:-$(nproc)}")
fi
# Becomes the command, within the limit where there is one.
limited() {
    [[ -z $GROUP ]] || echo "$BASHPID" >"$GROUP/cgroup.procs"
    exec "$@"
}
KAFKA=$(deploy/kafka-up.sh "$WORK/kafka")
REDIS=$(deploy/redis-up.sh "$WORK/redis")
cp onnx_models/next_title/next_title.onnx "$WORK"
JARS=$(deploy/kafka-up.sh --fetch)
# A topic with one row, which lies before all others. It keeps a gigabyte: two hours of a fast machine's rows would fill the disk.
topic() {
    java -cp "$JARS/*" org.apache.kafka.tools.TopicCommand --bootstrap-server "$KAFKA" --create --topic "$1" --partitions 1 \
        --config retention.ms=-1 --config retention.bytes=1073741824 --config segment.bytes=134217728 >/dev/null
    echo '{"id":0,"k":0,"title_id":0,"intended_us":0,"at":"2000-01-01 00:00:00.000"}' >"$WORK/first.jsonl"
    "$NOWCAST" replay "$WORK/first.jsonl" --topic "$1" --bootstrap "$KAFKA" --time-column at --partitions 1 >/dev/null
}
sets() { SETS=(--set "TOPIC=$1" --set "BOOTSTRAP=$KAFKA" --set "REDIS=$REDIS" --set "MODELS=$WORK"); }

if [[ -z $RATE ]]; then
    topic calibration
    python3 - "$CALIBRATION" "$WORK/made" <<'PY' | kcat -P -q -b "$KAFKA" -t calibration
import random, sys, time
sys.path.insert(0, "deploy")
from soak import event
dice, now = random.Random(2), time.time()
for number in range(int(sys.argv[1])):
    sys.stdout.write(event(number, now + number / 20_000, dice))
with open(sys.argv[2], "w") as file:
    file.write(str(int(sys.argv[1]) / (time.time() - now)))
PY
    sets calibration
    USAGE=$(limited "$NOWCAST" run deploy/soak.sql "${SETS[@]}" --set BOUNDED=latest-offset --no-http --usage \
        --data-dir "$WORK/calibration" 2>/dev/null | tail -1)
    TAKES=$(python3 -c 'import json, sys; u = json.loads(sys.argv[1]); print(int(u["rows_read"] / u["wall_s"]))' "$USAGE")
    RATE=$(python3 -c "print(int(min($SHARE * $TAKES, $(<"$WORK/made") / 2)))")
    echo "the job takes $TAKES rows a second from a full topic${CPUS:+ with $CPUS of a core}, the sender makes $(printf %.0f "$(<"$WORK/made")"); the load is $RATE"
fi

topic soak
sets soak
limited "$NOWCAST" run deploy/soak.sql "${SETS[@]}" --http 127.0.0.1:0 --data-dir "$WORK/data" 2>"$WORK/job.log" &
JOB=$!
ADDRESS=
for ((try = 0; try < 300; try++)); do
    ADDRESS=$(sed -n 's|.*serving on http://||p' "$WORK/job.log")
    [[ -z $ADDRESS ]] || break
    kill -0 "$JOB" 2>/dev/null || { cat "$WORK/job.log" >&2; fail "the job has ended"; }
    sleep 0.1
done
[[ -n $ADDRESS ]] || fail "the job serves no HTTP"
python3 deploy/soak.py --pid "$JOB" --address "$ADDRESS" --bootstrap "$KAFKA" --topic soak --rate "$RATE" --minutes "$MINUTES" \
    --model "$WORK/next_title.onnx" --log "$WORK/job.log" ${LOAD:+--group "$GROUP" --load "$LOAD"}
