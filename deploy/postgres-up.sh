#!/usr/bin/env bash
# Starts a PostgreSQL with a database of its own on a free port of 127.0.0.1.
#
#   deploy/postgres-up.sh [DIR [PORT]]   prints its URL when it answers
#   kill "$(cat DIR/postgres.pid)"       stops it
#
# With POSTGRES_TLS=FOLDER it has TLS, by ca.pem, server.pem and server.key of that folder. Then
# only the user `nowcast` may come without, and the user `certified` comes with a certificate of that
# name alone.
#
# PostgreSQL refuses to run as root: as root it runs as the user `postgres` of the package, or as
# `nobody`. DIR/data holds the database; started again on the same DIR it has its tables again.
set -euo pipefail

TRIES=5
READY_SECONDS=20

fail() { echo "postgres-up: $*" >&2; exit 1; }

# Debian keeps the server's programs out of the PATH.
PATH=$PATH:$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -1 || true)
for command in postgres initdb pg_isready; do
    command -v "$command" >/dev/null || fail "$command not found; apt-get install postgresql"
done

DIR=${1:-$(mktemp -d "${TMPDIR:-/tmp}/nowcast-postgres.XXXXXX")}
mkdir -p "$DIR"
DIR=$(cd "$DIR" && pwd)
if [[ -f $DIR/postgres.pid ]] && kill -0 "$(<"$DIR/postgres.pid")" 2>/dev/null; then
    fail "already running in $DIR as process $(<"$DIR/postgres.pid")"
fi

AS=()
if [[ $EUID == 0 ]]; then
    USER_NAME=nobody
    ! id postgres >/dev/null 2>&1 || USER_NAME=postgres
    AS=(setpriv "--reuid=$USER_NAME" "--regid=$(id -gn "$USER_NAME")" --clear-groups)
    mkdir -p "$DIR/data"
    chown "$USER_NAME" "$DIR/data"
    # That user has to get there: mktemp makes folders for their owner alone.
    chmod o+x "$DIR" "$(dirname "$DIR")"
    "${AS[@]}" test -x "$DIR/data" || fail "the user $USER_NAME cannot reach $DIR/data"
fi

if [[ ! -f $DIR/data/PG_VERSION ]]; then
    "${AS[@]}" initdb -D "$DIR/data" -U nowcast --auth=trust --encoding=UTF8 --locale=C \
        >"$DIR/postgres.log" 2>&1 </dev/null || { cat "$DIR/postgres.log" >&2; fail "initdb failed"; }
fi

TLS=()
if [[ -n ${POSTGRES_TLS-} ]]; then
    for file in ca.pem server.pem server.key; do
        install -m 600 ${AS[@]+-o "$USER_NAME"} "$POSTGRES_TLS/$file" "$DIR/data/$file"
    done
    TLS=(-c ssl=on -c ssl_ca_file=ca.pem -c ssl_cert_file=server.pem -c ssl_key_file=server.key)
    printf '%s\n' 'hostssl all certified 127.0.0.1/32 cert' 'host all certified 127.0.0.1/32 reject' \
        'host all nowcast 127.0.0.1/32 trust' 'hostssl all all 127.0.0.1/32 trust' >"$DIR/data/pg_hba.conf"
fi

for ((try = 0; try < TRIES; try++)); do
    PORT=${2:-$((20000 + RANDOM % 10000))}
    setsid "${AS[@]}" "$(command -v postgres)" -D "$DIR/data" -p "$PORT" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off "${TLS[@]}" \
        >>"$DIR/postgres.log" 2>&1 </dev/null &
    PID=$!
    echo "$PID" >"$DIR/postgres.pid"
    for ((end = SECONDS + READY_SECONDS; SECONDS < end;)); do
        kill -0 "$PID" 2>/dev/null || break # the port was taken
        if pg_isready -q -h 127.0.0.1 -p "$PORT" -U nowcast -d postgres && kill -0 "$PID" 2>/dev/null; then
            echo "postgresql://nowcast@127.0.0.1:$PORT/postgres"
            exit 0
        fi
        sleep 0.05
    done
    kill "$PID" 2>/dev/null || true
    [[ -z ${2-} ]] || break
done
cat "$DIR/postgres.log" >&2
fail "no answer; see $DIR/postgres.log"
