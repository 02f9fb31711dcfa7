# What the scripts share: packages, the build, namespaces and their removal. Sourced, not run.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

build_packages="gcc libc6-dev ca-certificates make pkg-config libelf-dev clang"
run_packages="iproute2 ethtool iperf3 iputils-ping procps"
test_packages="tcpdump valgrind dpdk-dev librte-net-virtio23 librte-net-memif23 librte-bus-vdev23 librte-mempool-ring23"
guest_packages="qemu-system-x86 busybox-static iperf3 cpio kmod"
bench_packages="jq gnuplot-nox"

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
# usage: ends with what stands at the head of the script.
usage() { sed -n '2,/^\./{s/^# \{0,1\}//p}' "$0" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# need PACKAGE...: installs what is missing, or says what to install.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing ${missing[*]}"
    is_root || command -v sudo >/dev/null || die "missing packages (try, as root: apt-get install ${missing[*]})"
    apt_get update -qq
    apt_get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# apt_get ARGUMENT...: apt-get, as root, with no questions.
apt_get() {
    local as_root=()
    is_root || as_root=(sudo)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@"
}

need_rust() {
    [ -d "${CARGO_HOME:-$HOME/.cargo}/bin" ] && PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    command -v cargo >/dev/null || die "no cargo here (Rust 1.91 or later; try: https://rustup.rs)"
}

# Builds the four programs and puts them on the path.
build() {
    need_rust
    say "building"
    cargo build --release --locked --quiet --bins
    PATH="$(target_directory)/release:$PATH"
}

target_directory() {
    cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
}

# --- Scratch space: a directory, namespaces, processes; all gone at the end, however it comes. ---

scratch=""
namespaces=()
processes=()
endings=() # what else is to be undone: functions

scratch_begin() {
    scratch=$(mktemp -d)
    export VALE_SOCKET="$scratch/vale.sock"
    trap scratch_end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

scratch_end() {
    local pid ns ending
    for pid in "${processes[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${processes[@]}"; do wait "$pid" 2>/dev/null || true; done
    for ns in "${namespaces[@]}"; do ip netns del "$ns" 2>/dev/null || true; done
    for ending in "${endings[@]}"; do "$ending"; done
    rm -rf "$scratch"
}

# background COMMAND...: starts it; it ends with the script. Its pid is in $started.
background() {
    "$@" >"$scratch/${1##*/}.$RANDOM.log" 2>&1 &
    started=$!
    processes+=("$started")
}

# finish PID: ends one of them now.
finish() {
    kill "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

# namespace NAME: makes it, loopback up, no IPv6 chatter.
namespace() {
    ip netns add "$1"
    namespaces+=("$1")
    ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "$1" link set lo up
}

inside() { local ns=$1; shift; ip netns exec "$ns" "$@"; }

# until_true COMMAND...: waits up to 10 s for it to succeed.
until_true() {
    local i
    for i in $(seq 100); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    die "not within 10 s: $*"
}

has_port() { vale-ctl | grep -q "^$1 "; }
listens() { inside "$1" ss -ltn "sport = :5201" | grep -q LISTEN; }

# bridge_up TAG on|off: a stock iperf3 server in TAG-k2 behind a Linux bridge, 10.0.1.2, and TAG-k1 to reach it from; with
# offloads, or with real 1500-byte frames.
bridge_up() {
    local tag=$1 state=$2 id
    namespace "$tag-br"
    ip -n "$tag-br" link add br0 type bridge
    ip -n "$tag-br" link set br0 up
    for id in 1 2; do
        namespace "$tag-k$id"
        ip -n "$tag-br" link add "v$id" type veth peer name eth0 netns "$tag-k$id"
        ip -n "$tag-br" link set "v$id" master br0 up
        ip -n "$tag-k$id" addr add "10.0.1.$id/24" dev eth0
        ip -n "$tag-k$id" link set eth0 up
        if [ "$state" = off ]; then
            inside "$tag-k$id" ethtool -K eth0 tso off gso off gro off >/dev/null
            inside "$tag-br" ethtool -K "v$id" tso off gso off gro off >/dev/null
        fi
    done
    background ip netns exec "$tag-k2" iperf3 -s
    until_true listens "$tag-k2"
}
