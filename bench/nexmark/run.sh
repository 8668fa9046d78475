#!/usr/bin/env bash
# Has a real Apache Flink and nowcast run the Nexmark queries over events, one query at a time. First
# both answer it over fewer events, and the rows that stand at the end are compared: their number and a digest.
# Then each runs it over all events into a blackhole, which is what is timed. A row of a Markdown table a query,
# as soon as it is there: seconds, seconds of CPU and peak memory of the whole process, JVM and planning included.
#
#   bench/nexmark/run.sh [--generated] [EVENTS [QUERY...]]
#                                              1000000 events, all queries
#   bench/nexmark/run.sh --expected            writes `expected`, Flink's answers that tests compare with
#
# Events come out of a file of JSON; with --generated each engine makes them up itself, by a source `nexmark` of its own
# (operators/connectors/src/nexmark, bench/peers/flink/src/NexmarkEvents.java): the same events, and of them no more than a query reads.
#
# Events are in order and made up from a seed; what a query emits in between does not count. q12's
# windows are of the clock, so that no two runs agree: it only has to run. q10 writes files where it is timed. An engine that fails at a query (out of memory, out of time) leaves the others alone.
#
# CHECK_EVENTS is how many are answered and compared (1000000, or all where there are fewer). NEXMARK_FOLDER keeps
# the events (about 330 MB a million) and all answers there: a run that was cut off goes on where it was, and an engine
# that failed is asked again; for one that has been mended remove `QUERY.nowcast*`. Without it nothing is kept.
# EVENTS_PER_S is the rate in event time (10000), NOWCAST_PROFILE cargo's profile (release), NOWCAST_BUILT
# a folder with `nowcast` and `examples/digest` instead, FLINK_HEAP Flink's memory (3g), LIMIT_S how long
# an engine may take for a query (3600). Needs GNU time.
#
# Both have one thread for a query's operators: a parallelism of 1, and one worker. Where answers are compared
# Flink has a watermark after each row, so that its answer follows from the rows alone; where it is timed it has its
# own defaults, and object reuse.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$HERE/../..
EXPECTED= GENERATED=
if [[ ${1-} == --generated ]]; then
    GENERATED=yes
    shift
elif [[ ${1-} == --expected ]]; then
    EXPECTED=yes
    shift
    # Enough event time for several windows of ten seconds.
    set -- 20000 "$@"
    EVENTS_PER_S=500
fi
EVENTS=${1:-1000000}
CHECK_EVENTS=${CHECK_EVENTS:-1000000}
((CHECK_EVENTS < EVENTS)) || CHECK_EVENTS=$EVENTS
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
    WORK=$NEXMARK_FOLDER/$EVENTS-at-$EVENTS_PER_S${GENERATED:+-generated}
    mkdir -p "$WORK"
else
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
fi
# events COUNT: the file that has so many.
events() {
    local file=$WORK/events-$1.json
    if [[ ! -f $file ]]; then
        "$BUILT/nowcast" generate nexmark --events "$1" --events-per-s "$EVENTS_PER_S" >"$file.partial"
        mv "$file.partial" "$file"
    fi
    echo "$file"
}
seq 0 9999 | sed 's/.*/&,value of &/' >"$WORK/side_input.csv"

flink() { FLINK_HEAP=${FLINK_HEAP:-3g} "$ROOT/deploy/oracle.sh" --digest "$1"; }
nowcast() { "$BUILT/examples/digest" "$1"; }
flink_timed() { FLINK_HEAP=${FLINK_HEAP:-3g} "$ROOT/deploy/oracle.sh" --run "$1"; }
nowcast_timed() {
    "$BUILT/nowcast" run "$1" --no-http --fresh --workers 1 --data-dir "$WORK/data" >&2 && echo "$(basename "$1" .sql) ran"
}
export -f flink nowcast flink_timed nowcast_timed
export ROOT BUILT WORK

# ask ENGINE QUERY: leaves its answer in QUERY.ENGINE and what it took in QUERY.ENGINE.took. An answer
# that came to nothing is not kept under that name, so that it is asked for again. What is timed reads all events.
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
took() {
    if [[ -f $WORK/$2.$1 ]]; then
        awk '{ printf "%.1f | %.1f | %.0f", $1, $2 + $3, $4 / 1024 }' "$WORK/$2.$1.took"
    else
        echo "failed: $(<"$WORK/$2.$1.failed") | |"
    fi
}
RATIOS=()

if [[ $EXPECTED ]]; then
    : >"$HERE/expected"
else
    echo "| query | answers | rows | nowcast s | CPU-s | MiB | Flink s | CPU-s | MiB |"
    echo "|---|---|---|---|---|---|---|---|---|"
fi
# write QUERY COUNT: its file, which reads so many events.
write() {
    local table=file file=
    if [[ $GENERATED ]]; then table=generator; else file=$(events "$2"); fi
    cat "$HERE/table_from_$table.sql" "$HERE/views.sql" "$HERE/$1.sql" |
        sed -e "s|\${EVENTS}|$file|" -e "/'events.num'/s/[0-9]\+/$2/" -e "/'next-event.rate'/s/[0-9]\+/$EVENTS_PER_S/" \
            -e "s|\${SIDE_INPUT}|$WORK/side_input.csv|" \
            -e "s|\${OUT}|$WORK/out|" >"$WORK/$1.sql"
}
# What is compared is collected and not written.
into_blackhole() { sed -i "/PARTITIONED BY/,/^)/s/'filesystem'/'blackhole'/" "$WORK/$1.sql"; }
for query in "$@"; do
    write "$query" "$CHECK_EVENTS"
    into_blackhole "$query"
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
    write "$query" "$EVENTS"
    for engine in nowcast flink; do
        ask "${engine}_timed" "$query"
        rm -rf "$WORK/out"
    done
    echo "| $query | $verdict | $rows | $(took nowcast_timed "$query") | $(took flink_timed "$query") |"
    if [[ -f $WORK/$query.nowcast_timed && -f $WORK/$query.flink_timed ]]; then
        RATIOS+=("$(cat "$WORK/$query.flink_timed.took" "$WORK/$query.nowcast_timed.took" |
            awk '{ cpu[NR] = $2 + $3 } END { print cpu[1] / cpu[2] }')")
    fi
done
[[ $EXPECTED || ${#RATIOS[@]} == 0 ]] || printf '%s\n' "${RATIOS[@]}" | sort -g | awk '
    { sum += log($1); last = $1 } NR == 1 { first = $1 }
    END { printf "\nCPU of Flink by that of nowcast: %.1f as the geometric mean of %d queries (%.1f to %.1f)\n", exp(sum / NR), NR, first, last }'
