#!/usr/bin/env bash
# The long run of what a crash may do: a job from Kafka to Kafka, exactly once, and into Redis, while it is
# killed, Kafka and Redis are restarted under it, and it is paused and comes back when another has taken
# over. What readers of committed messages see is compared row by row with an undisturbed run.
#
#   deploy/reliability.sh [--kills 30] [--kafka 10] [--redis 5] [--pauses 3] [--release]
#
# Prints `0 lost, 0 twice` and figures; the exit code is 0 just then. Needs what kafka-up.sh and redis-up.sh
# need. Redis forgets its rows when it is restarted here, so those are not compared.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
KILLS=30 KAFKA=10 REDIS=5 PAUSES=3 PROFILE=()
while (($#)); do
    case $1 in
    --kills) KILLS=$2 && shift ;;
    --kafka) KAFKA=$2 && shift ;;
    --redis) REDIS=$2 && shift ;;
    --pauses) PAUSES=$2 && shift ;;
    --release) PROFILE=(--release) ;;
    *) sed -n '2,/^set/{/^#/p}' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
    esac
    shift
done
# The test starts servers of its own; this says that it may.
NOWCAST_KAFKA=own NOWCAST_DEEDS="$KILLS,$KAFKA,$REDIS,$PAUSES" \
    cargo test "${PROFILE[@]}" --workspace --test disturbed -- --nocapture
