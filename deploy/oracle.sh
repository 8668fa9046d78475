#!/usr/bin/env bash
# Has a real Apache Flink answer the golden cases: writes the file `expected` of each.
#
#   deploy/oracle.sh              all cases of pipelines/tests/golden
#   deploy/oracle.sh CASE...      these folders, or names under pipelines/tests/golden
#   deploy/oracle.sh --digest FILE...
#                                 runs SQL files and prints how many rows each table of connector
#                                 blackhole has at the end, and a digest of them
#   deploy/oracle.sh --run FILE...
#                                 only runs them, to be timed: with Flink's default settings, object
#                                 reuse and the blackholes that it has
#   deploy/oracle.sh --fetch      only fetches the jars and compiles
#
# Nobody edits `expected` by hand: where it is wrong, the case asks the wrong question. The jars come
# from Maven once, into ${NOWCAST_CACHE:-~/.cache/nowcast}/flink. Needs java and javac 17, mvn. All
# cases run in one JVM, about 2 CPU-seconds each; FLINK_HEAP sets its memory (1g). Cases are short, so
# that the JVM compiles them fast rather than well; files of --digest and --run are long and get its defaults.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PEER=$ROOT/bench/peers/flink
CASES=$ROOT/pipelines/tests/golden
CACHE=${NOWCAST_CACHE:-$HOME/.cache/nowcast}/flink

fail() { echo "oracle: $*" >&2; exit 1; }

for command in java javac; do
    command -v "$command" >/dev/null || fail "$command not found; apt-get install openjdk-17-jdk-headless"
done

# Another pom is another folder, and a folder appears whole or not at all; the same for our classes.
JARS=$CACHE/$(sha256sum "$PEER/pom.xml" | cut -c1-16)
if [[ ! -d $JARS ]]; then
    command -v mvn >/dev/null || fail "mvn not found; apt-get install maven"
    mkdir -p "$CACHE"
    PARTIAL=$(mktemp -d "$CACHE/partial.XXXXXX")
    mvn -q -B -f "$PEER/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PARTIAL" >&2 || { rm -rf "$PARTIAL"; fail "mvn could not fetch Flink's jars"; }
    mv -T "$PARTIAL" "$JARS" 2>/dev/null || rm -rf "$PARTIAL" # another run was first
fi
CLASSES=$JARS-$(cat "$PEER"/src/*.java | sha256sum | cut -c1-16)
if [[ ! -d $CLASSES ]]; then
    PARTIAL=$(mktemp -d "$CACHE/partial.XXXXXX")
    javac -nowarn -proc:none -cp "$JARS/*" -d "$PARTIAL" "$PEER"/src/*.java ||
        { rm -rf "$PARTIAL"; fail "the oracle does not compile"; }
    mv -T "$PARTIAL" "$CLASSES" 2>/dev/null || rm -rf "$PARTIAL"
fi
[[ ${1-} != --fetch ]] || exit 0

if [[ ${1-} == --digest || ${1-} == --run ]]; then
    ARGUMENTS=("$@")
    COMPILES=()
else
    ARGUMENTS=()
    COMPILES=(-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC)
    for case in "${@:-$CASES}"; do
        [[ -d $case ]] || case=$CASES/$case
        while IFS= read -r query; do ARGUMENTS+=("${query%/query.sql}"); done \
            < <(find "$case" -name query.sql 2>/dev/null | sort)
    done
    [[ ${#ARGUMENTS[@]} -gt 0 ]] || fail "no query.sql in ${*:-$CASES}"
fi

# Flink's serialiser looks into the JDK.
OPEN=()
for package in lang lang.reflect math net io nio text time util util.concurrent; do
    OPEN+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
# Flink leaves its libraries and spill files behind.
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT
java "${OPEN[@]}" "-Xmx${FLINK_HEAP:-1g}" "-Djava.io.tmpdir=$SCRATCH" "${COMPILES[@]}" \
    -cp "$CLASSES:$PEER/resources:$JARS/*" Oracle "${ARGUMENTS[@]}"
