#!/usr/bin/env bash
# Starts a real Apache Kafka (one node, KRaft) on a free port of 127.0.0.1.
#
#   deploy/kafka-up.sh [DIR [PORT]]   prints the bootstrap address when Kafka is ready
#   deploy/kafka-up.sh --fetch        only fetches the jars, and prints their folder
#   kill "$(cat DIR/kafka.pid)"       stops it
#
# DIR holds data, log and pid; started again on the same DIR it has its topics again. The jars come
# from Maven once, into ${NOWCAST_CACHE:-~/.cache/nowcast}/kafka. Needs java 17 or later, mvn, python3.
# KAFKA_DOORS=FOLDER, with ca.pem and server.pem (certificate and key) in it, adds listeners of every kind to the
# plain one: their addresses are in FOLDER/doors as `SASL_PLAINTEXT host:port`, `SSL …` and `SASL_SSL …`. SSL
# wants a client's certificate; SASL is PLAIN and SCRAM, for the user alice with the password alice-secret.
# KAFKA_HEAP sets the memory (512m), KAFKA_LOG the log level (WARN).
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/kafka
CACHE=${NOWCAST_CACHE:-$HOME/.cache/nowcast}/kafka
READY_SECONDS=180

fail() { echo "kafka-up: $*" >&2; exit 1; }
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

for command in java python3; do
    command -v "$command" >/dev/null || fail "$command not found; apt-get install default-jre-headless python3"
done

# Another pom is another folder, and a folder appears whole or not at all.
JARS=$CACHE/$(sha256sum "$HERE/pom.xml" | cut -c1-16)
if [[ ! -d $JARS ]]; then
    command -v mvn >/dev/null || fail "mvn not found; apt-get install maven"
    mkdir -p "$CACHE"
    PARTIAL=$(mktemp -d "$CACHE/partial.XXXXXX")
    mvn -q -B -Dstyle.color=never -f "$HERE/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
        -DoutputDirectory="$PARTIAL" >&2 || { rm -rf "$PARTIAL"; fail "mvn could not fetch Kafka's jars"; }
    mv -T "$PARTIAL" "$JARS" 2>/dev/null || rm -rf "$PARTIAL" # another run was first
fi
[[ ${1-} != --fetch ]] || { echo "$JARS"; exit 0; }

DIR=${1:-$(mktemp -d "${TMPDIR:-/tmp}/nowcast-kafka.XXXXXX")}
PORT=${2:-$(free_port)}
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
if [[ -f $DIR/kafka.pid ]] && kill -0 "$(<"$DIR/kafka.pid")" 2>/dev/null; then
    fail "already running in $DIR as process $(<"$DIR/kafka.pid")"
fi
if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then fail "port $PORT in use"; fi

sed -e "s|@port@|$PORT|g" -e "s|@controller_port@|$(free_port)|g" -e "s|@dir@|$DIR|g" \
    "$HERE/server.properties" >"$DIR/server.properties"
SCRAM=()
if [[ -n ${KAFKA_DOORS-} ]]; then
    ADDED= MAP=
    : >"$KAFKA_DOORS/doors"
    for protocol in SASL_PLAINTEXT SSL SASL_SSL; do
        address=127.0.0.1:$(free_port)
        echo "$protocol $address" >>"$KAFKA_DOORS/doors"
        ADDED+=",$protocol://$address" MAP+=",$protocol:$protocol"
    done
    sed -i -e "s|^listeners=.*|&$ADDED|" -e "s|^advertised.listeners=.*|&$ADDED|" \
        -e "s|^listener.security.protocol.map=.*|&$MAP|" "$DIR/server.properties"
    cat >>"$DIR/server.properties" <<END
ssl.keystore.type=PEM
ssl.keystore.location=$KAFKA_DOORS/server.pem
ssl.truststore.type=PEM
ssl.truststore.location=$KAFKA_DOORS/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
END
    COMMON=org.apache.kafka.common.security
    for listener in sasl_plaintext sasl_ssl; do
        cat >>"$DIR/server.properties" <<END
listener.name.$listener.plain.sasl.jaas.config=$COMMON.plain.PlainLoginModule required user_alice="alice-secret";
listener.name.$listener.scram-sha-256.sasl.jaas.config=$COMMON.scram.ScramLoginModule required;
listener.name.$listener.scram-sha-512.sasl.jaas.config=$COMMON.scram.ScramLoginModule required;
END
    done
    SCRAM=(--add-scram 'SCRAM-SHA-256=[name=alice,password=alice-secret]'
        --add-scram 'SCRAM-SHA-512=[name=alice,password=alice-secret]')
fi
JAVA=(java -XX:+UseSerialGC -Xshare:auto -Djava.awt.headless=true
    "-Dlog4j2.configurationFile=$HERE/log4j2.xml" -cp "$JARS/*")

if [[ ! -f $DIR/data/meta.properties ]]; then
    CLUSTER=$(python3 -c 'import base64, uuid
print("n" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:])')
    "${JAVA[@]}" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format --cluster-id="$CLUSTER" \
        --config="$DIR/server.properties" "${SCRAM[@]}" >"$DIR/format.log" 2>&1 ||
        { cat "$DIR/format.log" >&2; fail "storage could not be formatted"; }
fi
CLUSTER=$(sed -n 's/^cluster.id=//p' "$DIR/data/meta.properties")

HEAP=${KAFKA_HEAP:-512m}
setsid "${JAVA[@]}" "-Xms$HEAP" "-Xmx$HEAP" kafka.Kafka "$DIR/server.properties" \
    >"$DIR/kafka.log" 2>&1 </dev/null &
echo $! >"$DIR/kafka.pid"
if ! python3 "$HERE/ready.py" "$PORT" "$(<"$DIR/kafka.pid")" "$CLUSTER" "$READY_SECONDS"; then
    tail -40 "$DIR/kafka.log" >&2
    kill "$(<"$DIR/kafka.pid")" 2>/dev/null || true
    fail "see $DIR/kafka.log"
fi
echo "127.0.0.1:$PORT"
