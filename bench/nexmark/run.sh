#!/usr/bin/env bash
# Has a real Apache Flink and nowcast answer the Nexmark queries over one file of events, and compares:
# `qN equal|differs|refused: …` with the number of rows at the end and their digest. Events are in order
# and made up from a seed; what a query emits in between does not count. q12's windows are of the clock,
# so that no two runs agree: it only has to run. q10's sink is a blackhole here, as are the others.
#
#   bench/nexmark/run.sh [EVENTS [QUERY...]]   1000000 events, all queries
#   bench/nexmark/run.sh --expected            writes `expected`, Flink's answers that tests compare with
#
# EVENTS_PER_S is the rate in event time (10000), NOWCAST_PROFILE cargo's profile (release), FLINK_HEAP
# the oracle's memory. A million events are about 330 MB in ${TMPDIR:-/tmp}.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$HERE/../..
PROFILE=${NOWCAST_PROFILE:-release}
EXPECTED=
if [[ ${1-} == --expected ]]; then
    EXPECTED=yes
    shift
    # Enough event time for several windows of ten seconds.
    set -- 20000 "$@"
    EVENTS_PER_S=500
fi
EVENTS=${1:-1000000}
shift || true
[[ $# -gt 0 ]] || set -- $(seq -f q%g 0 5) $(seq -f q%g 7 22)

cargo build --quiet --manifest-path "$ROOT/Cargo.toml" --profile "$PROFILE" -p nowcast --bin nowcast --example digest
BUILT=${CARGO_TARGET_DIR:-$ROOT/target}/${PROFILE/#dev/debug}

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
"$BUILT/nowcast" generate nexmark --events "$EVENTS" --events-per-s "${EVENTS_PER_S:-10000}" >"$WORK/events.json"
seq 0 9999 | sed 's/.*/&,value of &/' >"$WORK/side_input.csv"
for query in "$@"; do
    cat "$HERE/table_from_file.sql" "$HERE/views.sql" "$HERE/$query.sql" |
        sed -e "s|\${EVENTS}|$WORK/events.json|" -e "s|\${SIDE_INPUT}|$WORK/side_input.csv|" \
            -e "/PARTITIONED BY/,/^)/s/'filesystem'/'blackhole'/" >"$WORK/$query.sql"
done

FILES=()
for query in "$@"; do FILES+=("$WORK/$query.sql"); done
FLINK_HEAP=${FLINK_HEAP:-3g} "$ROOT/deploy/oracle.sh" --digest "${FILES[@]}" >"$WORK/flink" || true
if [[ $EXPECTED ]]; then
    grep -v ' refused: \|^q12 ' "$WORK/flink" >"$HERE/expected"
    grep ' refused: ' "$WORK/flink" >&2 || true
    exit
fi
"$BUILT/examples/digest" "${FILES[@]}" >"$WORK/nowcast" || true

for query in "$@"; do
    flink=$(sed -n "s/^$query //p" "$WORK/flink")
    nowcast=$(sed -n "s/^$query //p" "$WORK/nowcast")
    case $flink/$nowcast in
        refused:*) echo "$query refused by Flink: ${flink#refused: }" ;;
        */refused:*) echo "$query refused: ${nowcast#refused: }" ;;
        *) if [[ $query == q12 ]]; then
               echo "q12 runs by the clock: ${nowcast#* }, Flink ${flink#* }"
           elif [[ $flink == "$nowcast" ]]; then
               echo "$query equal: ${nowcast#* }"
           else
               echo "$query differs: ${nowcast#* }, Flink ${flink#* }"
           fi ;;
    esac
done
