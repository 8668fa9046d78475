#!/usr/bin/env bash
# The one test command: formatting, lints and all tests, against a real Apache Kafka, a real Redis, a
# real PostgreSQL and ONNX Runtime. Run it from any directory, as often as you like.
#
# By hand it takes rustup, a C compiler and make. What else tests need it installs: Redis,
# PostgreSQL, kcat, Java, Maven, Perl and Python with apt-get (as root or with sudo), Kafka with mvn, the judges of deploy/
# requirements-test.txt with pip. All of it but the apt packages lies in ${NOWCAST_CACHE:-~/.cache/nowcast}.
#
#   CARGO_TARGET_DIR       where cargo builds (~/.cache/nowcast-target)
#   NOWCAST_DATA           folder of real data sets; tests that need it are skipped without
#                          (../shared/data beside the repository, if it is there)
#   NOWCAST_TEST_TIMEOUT   the longest that all tests together may take (70m)
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"
export NOWCAST_CACHE=${NOWCAST_CACHE:-$HOME/.cache/nowcast}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$HOME/.cache/nowcast-target}
mkdir -p "$NOWCAST_CACHE"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/nowcast-check.XXXXXX")
INSTALLER=
TESTS=
SUMMARY=()
FAILED=0

fail() { echo "check: $*" >&2; exit 1; }

# --- what must be there ---------------------------------------------------------------------------

# rustup may have been installed without a new login.
[[ ! -d $HOME/.cargo/bin ]] || PATH=$PATH:$HOME/.cargo/bin
need() { command -v "$1" >/dev/null || fail "$1 not found: $2"; }
need cargo "install rustup, see https://rustup.rs; the version is in rust-toolchain.toml"
need cc "install a C compiler (Debian: apt-get install gcc)"
need make "install make (Debian: apt-get install make)"

# --- what can be installed ------------------------------------------------------------------------

missing_packages() {
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null || echo redis-server
    command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
        echo postgresql
    command -v java >/dev/null || echo default-jre-headless
    command -v kcat >/dev/null || echo kcat
    command -v mvn >/dev/null || echo maven
    # For OpenSSL, which the feature kafka-tls builds.
    perl -MFindBin -MIPC::Cmd -e 1 2>/dev/null || echo perl
    command -v python3 >/dev/null || echo python3
    python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
}

as_root() { if [[ $EUID == 0 ]]; then "$@"; else sudo "$@"; fi; }

install_packages() {
    # RUNLEVEL=1: a package of a server must not start it.
    as_root apt-get -q update
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get -q install -y --no-install-recommends "$@"
}

# A virtual environment of these requirements and this Python; complete once .complete is in it.
python_env() {
    local version
    version=$({ python3 --version && cat deploy/requirements-test.txt; } | sha256sum | cut -c1-16)
    echo "$NOWCAST_CACHE/python/$version"
}

install_python() {
    local env
    env=$(python_env)
    [[ ! -f $env/.complete ]] || return 0
    rm -rf "$env"
    python3 -m venv "$env"
    "$env/bin/python" -m pip install -q --disable-pip-version-check -r deploy/requirements-test.txt
    touch "$env/.complete"
}

# Runs beside the lints, which need none of it.
install_all() {
    if [[ $# != 0 ]]; then
        echo "installing: $*"
        install_packages "$@"
    fi
    install_python
    deploy/kafka-up.sh --fetch
}

# --- steps ----------------------------------------------------------------------------------------

record() { SUMMARY+=("$(printf '%-28s %-6s %5d s' "$1" "$2" "$3")"); }

# Runs a command as a named step; a failed step is told at the end and does not hide the next.
step() {
    local name=$1 started=$SECONDS
    shift
    echo "== $name"
    if "$@"; then
        record "$name" ok $((SECONDS - started))
    else
        FAILED=1
        record "$name" FAILED $((SECONDS - started))
    fi
    echo "== ${SUMMARY[-1]}"
}

lint() { cargo clippy --workspace --all-targets -- -D warnings; }

# Lints see the default features, tests those and TLS to Kafka.
TESTED=(--workspace --features nowcast/kafka-tls)
build_tests() { cargo test "${TESTED[@]}" --no-run; }

# Licences, bans and sources in any case; advisories where there are a tool and its database, which is
# a git repository. Building the tools would take longer than most of the tests.
dependencies() {
    deploy/deny.py || return 1
    if cargo deny --version >/dev/null 2>&1; then
        if cargo deny fetch db >/dev/null 2>&1; then
            cargo deny check
        else
            echo "advisories: not checked, their database is out of reach"
            cargo deny --offline check licenses bans sources
        fi
    elif cargo audit --version >/dev/null 2>&1; then
        cargo audit || { [[ $? == 2 ]] && echo "advisories: not checked, their database is out of reach"; }
    else
        echo "advisories: not checked, there is no cargo-deny (cargo install --locked cargo-deny)"
    fi
}

wait_for_installer() {
    local installer=$INSTALLER
    INSTALLER=
    wait "$installer" || { cat "$WORK/install.log" >&2; return 1; }
}

start_servers() {
    NOWCAST_KAFKA=$(deploy/kafka-up.sh "$WORK/kafka") || return 1
    NOWCAST_KAFKA_JARS=$(deploy/kafka-up.sh --fetch) || return 1
    NOWCAST_REDIS=$(deploy/redis-up.sh "$WORK/redis") || return 1
    NOWCAST_REDIS_CLUSTER=$(deploy/redis-up.sh --cluster "$WORK/redis-cluster") || return 1
    NOWCAST_POSTGRES=$(deploy/postgres-up.sh "$WORK/postgres") || return 1
    NOWCAST_PYTHON=$(python_env)/bin/python
    NOWCAST_ORT_LIB=$(compgen -G "$(python_env)/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*") ||
        { echo "no libonnxruntime in $(python_env)" >&2; return 1; }
    export NOWCAST_KAFKA NOWCAST_KAFKA_JARS NOWCAST_REDIS NOWCAST_REDIS_CLUSTER NOWCAST_POSTGRES
    export NOWCAST_PYTHON NOWCAST_ORT_LIB
    if [[ -z ${NOWCAST_DATA-} && -d $ROOT/../shared/data ]]; then
        NOWCAST_DATA=$(cd "$ROOT/../shared/data" && pwd)
    fi
    [[ -z ${NOWCAST_DATA-} ]] || export NOWCAST_DATA
    echo "kafka $NOWCAST_KAFKA, $NOWCAST_REDIS, $NOWCAST_POSTGRES, data: ${NOWCAST_DATA:-none}"
}

# All tests; on the screen the closing line of each runner, and failures in full.
run_tests() {
    local log=$WORK/test.log status=0
    # In the background, so that an interrupt is heard at once; timeout ends its whole group.
    timeout "${NOWCAST_TEST_TIMEOUT:-70m}" \
        cargo test "${TESTED[@]}" --no-fail-fast -- --show-output >"$log" 2>&1 &
    TESTS=$!
    wait "$TESTS" || status=$?
    TESTS=
    grep -E '^( +(Running|Doc-tests) |test result: |skipped|error)' "$log" || true
    if [[ $status != 0 ]]; then
        sed -n '/^failures:$/,/^test result: /p' "$log"
        grep -E '^test .* (FAILED|has been running.*)$' "$log" || tail -40 "$log"
        [[ $status != 124 ]] || echo "tests took longer than ${NOWCAST_TEST_TIMEOUT:-70m}"
    fi
    awk '/^test result: / { passed += $4; failed += $6; ignored += $8 }
         /^skipped/ { skipped += 1 }
         END { printf "tests: %d passed, %d failed, %d ignored; %d said that they skipped\n",
               passed, failed, ignored, skipped }' "$log"
    # What the outside judges said: cases, queries and functions.
    grep -E '^(golden|nexmark|queries|functions): [0-9]' "$log" || true
    return "$status"
}

# --- the run --------------------------------------------------------------------------------------

# Ends what this run started, by id.
end() {
    local status=$? pid
    trap - EXIT
    # A package in the middle of its installation still finishes; nothing is started after it.
    [[ -z $INSTALLER ]] || kill "$INSTALLER" 2>/dev/null || true
    [[ -z $TESTS ]] || kill "$TESTS" 2>/dev/null || true
    for pid in "$WORK"/*/*.pid; do
        [[ -f $pid ]] || continue
        pid=$(<"$pid")
        kill "$pid" 2>/dev/null || continue
        for ((try = 0; try < 100; try++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
    if [[ $status == 0 && ${#SUMMARY[@]} != 0 ]]; then rm -rf "$WORK"; else echo "logs: $WORK"; fi
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

mapfile -t PACKAGES < <(missing_packages)
if [[ ${#PACKAGES[@]} != 0 ]]; then
    need apt-get "install by hand what provides: ${PACKAGES[*]}"
    # A password is asked for now, not from the background.
    [[ $EUID == 0 ]] || { need sudo "run as root, or install: ${PACKAGES[*]}"; sudo -v; }
fi
install_all "${PACKAGES[@]}" >"$WORK/install.log" 2>&1 </dev/null &
INSTALLER=$!

step "format" cargo fmt --all --check
step "clippy" lint
step "install" wait_for_installer
step "build tests" build_tests
step "dependencies" dependencies
step "start servers" start_servers
step "tests" run_tests

echo
echo "== summary ($SECONDS s)"
printf '%s\n' "${SUMMARY[@]}"
exit "$FAILED"
