# Our TCP endpoint beside stock iperf3 on the kernel's paths. Sourced by scripts/bench.

# gbits COMMAND...: runs an iperf3-like client and prints what the receiver got.
gbits() {
    "$@" -t "$seconds" -f g | awk '$NF == "receiver" { for (i = 1; i < NF; i++) if ($i ~ /bits\/sec/) rate = $(i-1) } END { print rate }'
}

# --- Peers: stock iperf3 over a Linux bridge, with offloads and with real 1500-byte frames. ---

bridge_forward() { gbits inside "$tag-on-k1" iperf3 -c 10.0.1.2; }
bridge_reverse() { gbits inside "$tag-on-k1" iperf3 -c 10.0.1.2 -R; }
frames_forward() { gbits inside "$tag-off-k1" iperf3 -c 10.0.1.2; }

bridges() {
    [ -z "${bridges_are_up:-}" ] || return 0
    bridges_are_up=yes
    bridge_up "$tag-on" on
    bridge_up "$tag-off" off
}

# --- Ours. ---

appliance_up() { # VALED-ARGUMENTS...: valed in a namespace of its own, once
    namespace "$tag-sw"
    namespace "$tag-c"
    background ip netns exec "$tag-sw" "$(command -v valed)" "$@"
    appliance=$started
    until_true test -S "$VALE_SOCKET"
}

appliance_down() {
    finish "$appliance"
    ip netns del "$tag-sw"
    ip netns del "$tag-c"
}

endpoint_up() { # PORT
    background iperf-endpoint --on "$1" --ip 10.0.0.2/24 -s
    until_true has_port "${1%%@*}"
}

client_up() { # INTERFACE
    ip -n "$tag-c" addr add 10.0.0.1/24 dev "$1"
    ip -n "$tag-c" link set "$1" up
    until_true inside "$tag-c" ping -c 1 -W 1 10.0.0.2
}

from_namespace() { gbits inside "$tag-c" iperf3 -c 10.0.0.2; }
from_namespace_reverse() { gbits inside "$tag-c" iperf3 -c 10.0.0.2 -R; }
in_memory() { gbits iperf-endpoint --on vale0:client@virtual:offloads=off --ip 10.0.0.3/24 -c 10.0.0.2; }
in_memory_tso() { gbits iperf-endpoint --on vale0:client --ip 10.0.0.3/24 -c 10.0.0.2; }

theme_memory() {
    bridges
    appliance_up --cores 0
    endpoint_up vale0:ep@virtual:offloads=off
    compare "memory, 1500-byte frames / bridge, 1500-byte frames" Gbit/s "ratio >= 8" in_memory frames_forward
    compare "memory, 1500-byte frames / bridge with GSO" Gbit/s "ratio >= 2" in_memory bridge_forward
    appliance_down
    not_here "VPP's host stack over memif" "no package; 34 Gbit/s on two cores when it was measured"
}

theme_memory-tso() {
    bridges
    appliance_up --cores 0
    endpoint_up vale0:ep
    compare "memory, super-frames / bridge with GSO" Gbit/s "ratio >= 2" in_memory_tso bridge_forward
    appliance_down
}

theme_tap() {
    bridges
    appliance_up
    endpoint_up vale0:ep
    vale-ctl -a vale0:tap7@tap
    ip -n "$tag-sw" link set tap7 netns "$tag-c"
    client_up tap7
    compare "iperf3 - TAP - switch - endpoint / bridge" Gbit/s "ratio >= 1" from_namespace bridge_forward
    compare "endpoint - switch - TAP - iperf3 (-R) / bridge" Gbit/s "ratio >= 1" from_namespace_reverse bridge_reverse
    appliance_down
}

veth_up() {
    ip -n "$tag-sw" link add veth0 type veth peer name eth0 netns "$tag-c"
    ip -n "$tag-sw" link set veth0 up
}

# The veth pair itself, stock at both ends, real 1500-byte frames.
veth_peer_up() {
    namespace "$tag-p1"
    namespace "$tag-p2"
    ip -n "$tag-p1" link add eth0 type veth peer name eth0 netns "$tag-p2"
    local id
    for id in 1 2; do
        ip -n "$tag-p$id" addr add "10.0.2.$id/24" dev eth0
        ip -n "$tag-p$id" link set eth0 up
        inside "$tag-p$id" ethtool -K eth0 tso off gso off gro off >/dev/null
    done
    background ip netns exec "$tag-p2" iperf3 -s
    until_true listens "$tag-p2"
}

veth_forward() { gbits inside "$tag-p1" iperf3 -c 10.0.2.2; }
veth_reverse() { gbits inside "$tag-p1" iperf3 -c 10.0.2.2 -R; }

theme_tcp-afxdp() {
    veth_peer_up
    appliance_up
    endpoint_up vale0:ep
    veth_up
    inside "$tag-c" ethtool -K eth0 tx off >/dev/null
    vale-ctl -a vale0:veth0
    client_up eth0
    compare "iperf3 - AF_XDP - switch - endpoint / bare veth, no offloads" Gbit/s "ratio >= 0.8" from_namespace veth_forward
    compare "endpoint - switch - AF_XDP - iperf3 (-R) / bare veth" Gbit/s "ratio >= 0.8" from_namespace_reverse veth_reverse
    appliance_down
}

theme_packet() {
    bridges
    appliance_up
    endpoint_up vale0:ep
    veth_up
    vale-ctl -a vale0:veth0@packet
    client_up eth0
    compare "iperf3 - raw socket - switch - endpoint / bridge" Gbit/s "ratio >= 0.8" from_namespace bridge_forward
    compare "endpoint - switch - raw socket - iperf3 (-R) / bridge" Gbit/s "ratio >= 0.8" from_namespace_reverse bridge_reverse
    appliance_down
}

theme_tcp() {
    local name
    for name in memory memory-tso tap tcp-afxdp packet; do
        theme=$name
        "theme_$name"
    done
}

theme_idle() {
    appliance_up
    local i name="idle valed, four TAPs, adaptive"
    for i in 1 2 3 4; do vale-ctl -a "vale0:tap$i@tap"; done
    sleep 1
    case_begin "$name" "% core" "ours <= 2"
    for i in $(seq "$rounds"); do figure "$name" ours "$i" "$(processor_share "$appliance" 1)"; done
    case_end "$name"
    appliance_down
}

# processor_share PID SECONDS: of one core, per cent.
processor_share() {
    local ticks
    ticks=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
    sleep "$2"
    ticks=$(($(awk '{ print $14 + $15 }' "/proc/$1/stat") - ticks))
    awk -v t="$ticks" -v hz="$(getconf CLK_TCK)" -v s="$2" 'BEGIN { printf "%.2f\n", 100 * t / hz / s }'
}
