#!/usr/bin/env bash
# Shows that a newcomer's machine is enough: a bare Debian with rustup, a C compiler and make, in which
# the two commands of README.md must run.
#
#   deploy/fresh-machine.sh                  makes the machine, runs both commands, removes it
#   deploy/fresh-machine.sh DIR              the same, but keeps the machine in DIR and finds it again
#   deploy/fresh-machine.sh DIR COMMAND...   runs COMMAND in the clone instead
#
# The machine is a chroot with processes and mounts of its own, and gets the last commit of this
# repository. How packages are reached (resolver, certificates, proxies, settings of apt, pip, mvn and
# cargo) it has from this machine. Needs root, debootstrap, git, and rustup with the toolchain.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PACKAGES=gcc,libc6-dev,make,ca-certificates
README_COMMANDS=("cargo run --release -- demo --for 60s" "deploy/check.sh")

fail() { echo "fresh-machine: $*" >&2; exit 1; }

[[ $EUID == 0 ]] || fail "must be root, to make a chroot"
for command in debootstrap git rustc unshare chroot; do
    command -v "$command" >/dev/null || fail "$command not found"
done
[[ -x $HOME/.cargo/bin/rustup ]] || fail "no rustup in $HOME/.cargo/bin"

if [[ $# == 0 ]]; then
    MACHINE=$(mktemp -d "${TMPDIR:-/var/tmp}/nowcast-machine.XXXXXX")
    # Mounts live and die in a namespace of their own, so there is nothing else in it.
    trap 'rm -rf --one-file-system "$MACHINE"' EXIT
else
    MACHINE=$(mkdir -p "$1" && cd "$1" && pwd)
    shift
fi

# Copies files and folders of this machine to the same places in the other; absent ones are left out.
give() {
    local path
    for path in "$@"; do
        [[ -e $path ]] || continue
        mkdir -p "$MACHINE$(dirname "$path")"
        cp -aLT --remove-destination "$path" "$MACHINE$path"
    done
}

# The same, but from this user's home to root's.
give_home() {
    local path
    for path in "$@"; do
        [[ -e $HOME/$path ]] || continue
        mkdir -p "$MACHINE/root/$(dirname "$path")"
        cp -aLT "$HOME/$path" "$MACHINE/root/$path"
    done
}

make_machine() {
    local suite mirror toolchain
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    # shellcheck disable=SC2016
    mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" | head -1)
    echo "== debootstrap $suite with $PACKAGES"
    debootstrap --variant=minbase --include="$PACKAGES" "$suite" "$MACHINE" ${mirror:+"$mirror"} \
        >"$MACHINE/debootstrap.log" 2>&1 || { tail -20 "$MACHINE/debootstrap.log" >&2; return 1; }

    rm -f "$MACHINE/etc/resolv.conf" "$MACHINE/etc/apt/sources.list"
    give /etc/resolv.conf /etc/hosts /usr/local/share/ca-certificates /etc/pip.conf \
        /etc/maven/settings.xml /etc/apt/sources.list /etc/apt/sources.list.d \
        /etc/apt/apt.conf.d /etc/apt/keyrings /etc/apt/trusted.gpg.d
    give_home .config/pip .m2/settings.xml .cargo/config.toml
    inside update-ca-certificates >/dev/null 2>&1

    toolchain=$(cd "$ROOT" && rustc --print sysroot)
    echo "== rustup with $(basename "$toolchain")"
    give_home .cargo/bin .rustup/settings.toml
    mkdir -p "$MACHINE/root/.rustup/toolchains"
    cp -aLT "$toolchain" "$MACHINE/root/.rustup/toolchains/$(toolchain_name)"
    touch "$MACHINE/.complete"
}

# The name under which rustup looks for the toolchain of this repository.
toolchain_name() {
    local channel
    channel=$(sed -n 's/^channel = "\(.*\)"$/\1/p' "$ROOT/rust-toolchain.toml")
    echo "$channel-$(rustc -vV | sed -n 's/^host: //p')"
}

# Certificates and proxies, which clients are told of by variables.
network_settings() { env | grep -iE '^([a-z]+_proxy|[A-Z_]*(SSL_CERT|CA_BUNDLE|CA_CERTS)[A-Z_]*|PIP_CERT)=' || true; }

# Runs a command in the machine, in the clone where there is one, with a bare environment. What it
# leaves running ends with it.
inside() {
    local settings
    mapfile -t settings < <(network_settings)
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child --propagation private sh -c '
        machine=$1; shift
        mount -t proc proc "$machine/proc" && mount --rbind /dev "$machine/dev" &&
            exec chroot "$machine" "$@"' sh "$MACHINE" \
        /usr/bin/env -i HOME=/root LANG=C.UTF-8 "${settings[@]}" \
        PATH=/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -c '[ ! -d /root/nowcast ] || cd /root/nowcast; exec "$@"' sh "$@"
}

timed() {
    local started=$SECONDS
    echo "== $*"
    inside "$@" || fail "failed after $((SECONDS - started)) s: $*"
    echo "== $((SECONDS - started)) s: $*"
}

[[ -f $MACHINE/.complete ]] || make_machine
# Files that the settings name; folders of certificates the machine has made of its own.
while read -r named; do
    [[ ! -f $named ]] || give "$named"
done < <(network_settings | sed 's/^[^=]*=//' | sort -u)

rm -rf "$MACHINE/root/nowcast"
git clone -q --no-hardlinks "$ROOT" "$MACHINE/root/nowcast"

if [[ $# != 0 ]]; then
    timed "$@"
    exit
fi
timed cc --version
timed cargo --version
for command in "${README_COMMANDS[@]}"; do
    # The commands hold nothing that a shell would not split as README's reader's does.
    # shellcheck disable=SC2086
    timed $command
done
