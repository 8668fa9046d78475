#!/usr/bin/env bash
# The same queries over the same Kafka topic on nowcast, Apache Flink, Kafka Streams, Bytewax, Pathway and Quix
# Streams, one after the other and interleaved: prints a table of CPU, memory and start for each query.
#
#   bench/peers/run.sh [QUERY…] [--events 2000000] [--rounds 2] [--workers 2] [--peers nowcast,flink,…]
#
# First every peer answers a smaller topic into Kafka, and its rows are compared with Flink's: a figure counts where
# they are equal. Needs java 17 (javac), mvn, python3; jars and packages come once into ${NOWCAST_CACHE:-~/.cache/nowcast}.
# NOWCAST is the binary to measure (default: a release build of this tree), BOOTSTRAP a Kafka to use (default:
# one of its own on this machine).
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$HERE/../..
CACHE=${NOWCAST_CACHE:-$HOME/.cache/nowcast}
fail() { echo "peers: $*" >&2; exit 1; }
[[ ${1-} != --help ]] || { sed -n '2,/^set/{/^#/p}' "${BASH_SOURCE[0]}"; exit; }
for command in java javac mvn python3; do
    command -v "$command" >/dev/null || fail "$command not found"
done

# Another pom is another folder, and a folder appears whole or not at all.
jars() {
    local pom=$1 folder
    folder=$CACHE/peers/jars-$(sha256sum "$pom" | cut -c1-16)
    if [[ ! -d $folder ]]; then
        mkdir -p "$CACHE/peers"
        local partial
        partial=$(mktemp -d "$CACHE/peers/partial.XXXXXX")
        mvn -q -B -Dstyle.color=never -f "$pom" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$partial" >&2 || { rm -rf "$partial"; fail "mvn could not fetch the jars of $pom"; }
        mv -T "$partial" "$folder" 2>/dev/null || rm -rf "$partial" # another run was first
    fi
    echo "$folder"
}

WORK=$(mktemp -d)
KAFKA=
end() {
    [[ -z $KAFKA ]] || kill "$(<"$WORK/kafka/kafka.pid")" 2>/dev/null || true
    rm -rf "$WORK"
}
trap end EXIT

FLINK_JARS=$(jars "$HERE/flink-kafka/pom.xml")
STREAMS_JARS=$(jars "$HERE/kafka-streams/pom.xml")
javac -nowarn -proc:none -cp "$FLINK_JARS/*" -d "$WORK/flink" "$HERE"/flink-kafka/src/*.java "$HERE/flink/src/Statements.java"
javac -nowarn -proc:none -cp "$STREAMS_JARS/*" -d "$WORK/streams" "$HERE"/kafka-streams/src/*.java

PYTHON=$CACHE/peers/python-$({ python3 --version && cat "$HERE/python/requirements.txt"; } | sha256sum | cut -c1-16)
if [[ ! -f $PYTHON/.complete ]]; then
    rm -rf "$PYTHON"
    python3 -m venv "$PYTHON"
    "$PYTHON/bin/python" -m pip install -q --disable-pip-version-check -r "$HERE/python/requirements.txt" >&2
    touch "$PYTHON/.complete"
fi

if [[ -z ${NOWCAST-} ]]; then
    cargo build --quiet --release --workspace --manifest-path "$ROOT/Cargo.toml" >&2
    NOWCAST=${CARGO_TARGET_DIR:-$ROOT/target}/release/nowcast
fi
KAFKA_JARS=$("$ROOT/deploy/kafka-up.sh" --fetch)
if [[ -z ${BOOTSTRAP-} ]]; then
    KAFKA=yes
    BOOTSTRAP=$("$ROOT/deploy/kafka-up.sh" "$WORK/kafka")
fi

TMPDIR=$WORK PYTHONPATH=$HERE/python "$PYTHON/bin/python" "$HERE/run.py" "$@" \
    --bootstrap "$BOOTSTRAP" --nowcast "$NOWCAST" --python "$PYTHON/bin/python" \
    --flink-classes "$WORK/flink" --flink-jars "$FLINK_JARS" --kafka-jars "$KAFKA_JARS" \
    --streams-classes "$WORK/streams" --streams-jars "$STREAMS_JARS"
