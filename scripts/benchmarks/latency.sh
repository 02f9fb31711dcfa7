# Ping and pong through the switch: one app on core 0, one on core 1, busy; beside the bare round trip of a word between
# the cores (one word that both write, or one each way, as frames have a ring each way), and beside two UDP sockets that spin on theirs over a Linux bridge. Sourced by scripts/bench.
#
# Frames are of 60 bytes on both sides. A round gives the figures of all rows: they are of one placement of the cores.

# ours_ping: the line of quantiles, "RTT ns: min 1 p50 2 p90 3 p99 4 ...".
ours_ping() {
    local pong
    switch_up 0,1
    transient pkt-gen -i vale0:1 -f pong -a 1 >"$scratch/pong.out" 2>&1
    pong=$started
    until_true has_port vale0:1
    timeout -s INT "$pps_seconds" pkt-gen -i vale0:2 -f ping -a 0 -l 60 2>"$scratch/ping.err" | grep '^RTT ns:' || true
    kill -INT "$pong"
    wait "$pong" || true
    switch_down
}

# quantile NAME LINE: the figure after its name.
quantile() { awk -v name="$1" '{ for (i = 1; i < NF; i++) if ($i == name) { print $(i + 1); exit } }' <<<"$2"; }

# socket_ping: median of a round trip between two UDP sockets, ns. Both sides ask again at once when nothing is there.
socket_ping() {
    local server
    transient ip netns exec "$tag-on-k2" taskset -c 1 sockperf server -i 10.0.1.2 --nonblocked --recv_looping_num=-1 \
        >"$scratch/sockperf.log" 2>&1
    server=$started
    until_true socket_listens
    inside "$tag-on-k1" taskset -c 0 sockperf ping-pong -i 10.0.1.2 -m 18 -t 1 --full-rtt --nonblocked \
        --recv_looping_num=-1 2>&1 | awk '/percentile 50.000/ { printf "%.0f\n", $NF * 1000 }'
    kill "$server"
    wait "$server" || true
}

socket_listens() { inside "$tag-on-k2" ss -lun "sport = :11111" | grep -q UNCONN; }

theme_latency() {
    two_cores_here || return 0
    local bare="ping, switch, pong, p50 / core-to-core round trip" tail="ping, switch, pong, p99"
    local two="ping, switch, pong, p50 / the same, a word each way"
    local sockets="ping, switch, pong, p50 / UDP sockets spinning over a bridge"
    local round line peer=socket_ping
    peer_packages "$sockets" sockperf || peer=true
    bridges
    case_begin "$bare" ns "ratio <= 4"
    case_begin "$two" ns "ratio <= 4"
    case_begin "$tail" ns "ours <= 2000"
    case_begin "$sockets" ns ""
    for ((round = 1; ; round++)); do
        another_round "$bare" "$round" || break
        local apart=()
        apart+=("$(bench_program core-to-core 0 1)")
        line=$(either ours_ping)
        apart+=("$(bench_program core-to-core 0 1)")
        figure "$sockets" peer "$round" "$(either "$peer")"
        apart+=("$(bench_program core-to-core 0 1)")
        figure "$bare" ours "$round" "$(quantile p50 "$line")"
        figure "$bare" peer "$round" "${apart[0]}"
        figure "$two" ours "$round" "$(quantile p50 "$line")"
        figure "$two" peer "$round" "$(bench_program core-to-core 0 1 --two)"
        figure "$tail" ours "$round" "$(quantile p99 "$line")"
        figure "$sockets" ours "$round" "$(quantile p50 "$line")"
        local name
        for name in "$bare" "$two" "$tail" "$sockets"; do
            figure "$name" core-to-core "$round" "${apart[0]}"
            figure "$name" core-to-core "$round" "${apart[1]}"
            figure "$name" core-to-core "$round" "${apart[2]}"
        done
    done
    case_end "$bare"
    case_end "$two"
    case_end "$tail"
    case_end "$sockets"
}
