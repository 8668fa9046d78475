#!/usr/bin/env bash
# Has a real Apache Flink and nowcast answer the Nexmark queries over one file of events, one query at a
# time, and compares. A row of a Markdown table a query, as soon as it is answered: whether both have as
# many rows of the same digest at the end, and what each took: seconds, seconds of CPU, peak memory.
#
#   bench/nexmark/run.sh [EVENTS [QUERY...]]   1000000 events, all queries
#   bench/nexmark/run.sh --expected            writes `expected`, Flink's answers that tests compare with
#
# Events are in order and made up from a seed; what a query emits in between does not count. q12's
# windows are of the clock, so that no two runs agree: it only has to run. q10's sink is a blackhole here,
# as are the others. An engine that fails at a query (out of memory, out of time) leaves the others alone.
#
# NEXMARK_FOLDER keeps the events (about 330 MB a million) and all answers there: a run that was cut off
# goes on where it was, and an engine that failed is asked again; for one that has been mended remove
# `QUERY.nowcast`. Without it nothing is kept.
# EVENTS_PER_S is the rate in event time (10000), NOWCAST_PROFILE cargo's profile (release), NOWCAST_BUILT
# a folder with `nowcast` and `examples/digest` instead, FLINK_HEAP Flink's memory (3g), LIMIT_S how long
# an engine may take for a query (3600). Needs GNU time.
#
# The seconds are those of two whole processes that read, answer and hash, JVM and planning included, with
# Flink at a parallelism of 1 and a watermark after each row, so that its answer follows from the rows
# alone. They tell what a query costs by order of magnitude; bench/peers compares speeds.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$HERE/../..
EXPECTED=
if [[ ${1-} == --expected ]]; then
    EXPECTED=yes
    shift
    # Enough event time for several windows of ten seconds.
    set -- 20000 "$@"
    EVENTS_PER_S=500
fi
EVENTS=${1:-1000000}
EVENTS_PER_S=${EVENTS_PER_S:-10000}
shift || true
[[ $# -gt 0 ]] || set -- $(seq -f q%g 0 5) $(seq -f q%g 7 22)

fail() { echo "nexmark: $*" >&2; exit 1; }

[[ -x /usr/bin/time ]] || fail "/usr/bin/time not found; apt-get install time"
BUILT=${NOWCAST_BUILT-}
if [[ -z $BUILT ]]; then
    PROFILE=${NOWCAST_PROFILE:-release}
    # The whole workspace: alone, DataFusion would be built with other features once more.
    cargo build --quiet --manifest-path "$ROOT/Cargo.toml" --profile "$PROFILE" --workspace --bin nowcast --example digest
    BUILT=${CARGO_TARGET_DIR:-$ROOT/target}/${PROFILE/#dev/debug}
fi

if [[ ${NEXMARK_FOLDER-} ]]; then
    WORK=$NEXMARK_FOLDER/$EVENTS-at-$EVENTS_PER_S
    mkdir -p "$WORK"
else
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
fi
if [[ ! -f $WORK/events.json ]]; then
    "$BUILT/nowcast" generate nexmark --events "$EVENTS" --events-per-s "$EVENTS_PER_S" >"$WORK/events.partial"
    mv "$WORK/events.partial" "$WORK/events.json"
fi
seq 0 9999 | sed 's/.*/&,value of &/' >"$WORK/side_input.csv"

flink() { FLINK_HEAP=${FLINK_HEAP:-3g} "$ROOT/deploy/oracle.sh" --digest "$1"; }
nowcast() { "$BUILT/examples/digest" "$1"; }
export -f flink nowcast
export ROOT BUILT

# ask ENGINE QUERY: leaves its answer in QUERY.ENGINE and what it took in QUERY.ENGINE.took. An answer
# that came to nothing is not kept under that name, so that it is asked for again.
ask() {
    local answer=$WORK/$2.$1 rc=0
    [[ ! -f $answer ]] || return 0
    /usr/bin/time -q -f '%e %U %S %M' -o "$answer.took" timeout -k 10 "${LIMIT_S:-3600}" \
        bash -c "$1 '$WORK/$2.sql'" >"$answer.partial" 2>"$answer.log" || rc=$?
    if grep -q "^$2 " "$answer.partial" && ! grep -q OutOfMemoryError "$answer.partial"; then
        mv "$answer.partial" "$answer"
        return 0
    fi
    case $rc in
        124) echo "took longer than ${LIMIT_S:-3600} s" ;;
        137) echo "was killed" ;;
        *) grep -ho -m1 'OutOfMemoryError.*' "$answer.partial" "$answer.log" || echo "ended with $rc" ;;
    esac >"$answer.failed"
}

# answer ENGINE QUERY: `ROWS DIGEST`, `refused: WHY` or `failed: WHY`.
answer() {
    if [[ -f $WORK/$2.$1 ]]; then
        sed -E "s/^$2 (nexmark_$2 )?//" "$WORK/$2.$1"
    else
        echo "failed: $(<"$WORK/$2.$1.failed")"
    fi
}

# took ENGINE QUERY: three cells, seconds, seconds of CPU and MiB.
took() { awk '{ printf "%.1f | %.1f | %.0f", $1, $2 + $3, $4 / 1024 }' "$WORK/$2.$1.took"; }

if [[ $EXPECTED ]]; then
    : >"$HERE/expected"
else
    echo "| query | answers | rows | nowcast s | CPU-s | MiB | Flink s | CPU-s | MiB |"
    echo "|---|---|---|---|---|---|---|---|---|"
fi
for query in "$@"; do
    cat "$HERE/table_from_file.sql" "$HERE/views.sql" "$HERE/$query.sql" |
        sed -e "s|\${EVENTS}|$WORK/events.json|" -e "s|\${SIDE_INPUT}|$WORK/side_input.csv|" \
            -e "/PARTITIONED BY/,/^)/s/'filesystem'/'blackhole'/" >"$WORK/$query.sql"
    ask flink "$query"
    flink=$(answer flink "$query")
    if [[ $EXPECTED ]]; then
        case $query/$flink in
            */refused:* | */failed:*) echo "$query $flink" >&2 ;;
            q12/*) ;;
            *) cat "$WORK/$query.flink" >>"$HERE/expected" ;;
        esac
        continue
    fi
    ask nowcast "$query"
    nowcast=$(answer nowcast "$query")
    rows=${nowcast%% *}
    case $flink/$nowcast in
        refused:* | failed:*) verdict="Flink $flink" rows= ;;
        */refused:* | */failed:*) verdict="nowcast $nowcast" rows= ;;
        *) if [[ $query == q12 ]]; then
               verdict="by the clock: Flink has ${flink%% *} rows"
           elif [[ $flink == "$nowcast" ]]; then
               verdict=equal
           else
               verdict="**differ**: Flink $flink, nowcast $nowcast"
           fi ;;
    esac
    echo "| $query | $verdict | $rows | $(took nowcast "$query") | $(took flink "$query") |"
done
