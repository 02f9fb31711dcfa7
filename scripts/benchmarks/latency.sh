# Ping and pong through the switch: one app on core 0, one on core 1, busy; beside the bare round trip between the cores,
# and beside two UDP sockets that spin on theirs over a Linux bridge. Sourced by scripts/bench.

theme_latency() {
    two_cores_here || return 0
    not_here "ping and pong through the switch" "pkt-gen has no ping yet"
}
