#!/usr/bin/env bash
# Breaks the engine on purpose, once for each file of engine/tests/mutations, and runs the simulation:
# it must notice each. Prints which it has caught and by what, and fails if one has survived.
#
#   NOWCAST_SEEDS          seeds of the simulation; of several numbers the next where the one before notices nothing (500 10000)
#   CARGO_TARGET_DIR       where cargo builds (~/.cache/nowcast-target); a folder of its own beneath it
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/nowcast-target}/mutations
export RUST_BACKTRACE=0
WORK=$(mktemp -d "${TMPDIR:-/tmp}/nowcast-mutations.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

# Of the working tree, without what git ignores.
(cd "$ROOT" && git ls-files -z --cached --others --exclude-standard | tar cf - --null -T -) |
    tar xf - -C "$WORK"
cd "$WORK"
git init -q .

simulate() { NOWCAST_SEEDS=${1:-500} cargo test -q -p nowcast-engine --test chaos -- --nocapture >"$WORK/log" 2>&1; }

echo "unbroken"
simulate || { tail -n 20 "$WORK/log"; echo "the simulation fails without a mutation" >&2; exit 1; }
survived=0
for patch in "$ROOT"/engine/tests/mutations/*.patch; do
    git apply "$patch" || { echo "$patch does not apply any more" >&2; exit 1; }
    cargo test -q -p nowcast-engine --test chaos --no-run >"$WORK/log" 2>&1 ||
        { cat "$WORK/log"; echo "$patch does not compile any more" >&2; exit 1; }
    told=$(head -n 1 "$patch")
    caught=
    for seeds in ${NOWCAST_SEEDS:-500 10000}; do
        simulate "$seeds" || { caught=1 && break; }
    done
    if [[ -z $caught ]]; then
        echo "SURVIVED  $told"
        survived=$((survived + 1))
    else
        by=$(grep -m 1 -oE 'seed: [0-9]+, what: "[^"]{0,90}|assertion.*' "$WORK/log" || echo "see its log")
        echo "caught    $told  ($by)"
    fi
    git apply -R "$patch"
done
echo "$survived survived"
((survived == 0))
