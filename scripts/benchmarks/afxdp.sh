# Frames of 64 bytes from a veth by AF_XDP, through the switch, to a veth by AF_XDP: beside DPDK's net_af_xdp on the same
# veths without a switch. Sourced by scripts/bench.
#
# Two arrangements, each with its own veths, which ours and DPDK hold in turn, native mode, copies, one queue:
#
#   pair    core 0: generator ─ p0 ══ p1 ─ receiver :core 1
#           Ours: generator and receiver are apps of valed, and frames cross a switch at either end.
#           DPDK: txonly and rxonly, straight on p0 and p1.
#   middle  core 0: generator ─ e0 ══ a ─ box ─ b ══ e0: counted by the kernel      box: core 1
#           The generator is DPDK's for both, and the far end the kernel's. The box is valed with a learning switch, or
#           testpmd that hands over what it gets, by pointer, without looking at addresses.
#
# Nearly all of the time is the kernel's (an skb for each frame, copied in and out): the bar is to add nothing to it.

pair_up() {
    namespace "$tag-xp"
    ip -n "$tag-xp" link add p0 type veth peer name p1
    ip -n "$tag-xp" link set p0 up
    ip -n "$tag-xp" link set p1 up
}

ours_pair() {
    local daemon receiver
    transient ip netns exec "$tag-xp" "$(command -v valed)" --cores 0,1 --idle busy >"$scratch/valed.log" 2>&1
    daemon=$started
    until_true test -S "$VALE_SOCKET"
    until_true vale-ctl -a vale0:p0@afxdp:core=0 # the kernel may still be letting go of the last holder
    until_true vale-ctl -a vale1:p1@afxdp:core=1
    transient pkt-gen -N -i vale1:rx -f rx -a 1 >"$scratch/rx.out" 2>"$scratch/rx.err"
    receiver=$started
    until_true has_port vale1:rx
    timeout -s INT "$pps_seconds" pkt-gen -N -i vale0:tx -f tx -a 0 -l 64 >"$scratch/tx.out" 2>"$scratch/tx.err" || true
    kill -INT "$receiver"
    wait "$receiver" || true
    kill "$daemon"
    wait "$daemon" || true
    received_rate "$scratch/rx.out"
}

dpdk_pair() {
    testpmd "$tag-xr" 1 "$tag-xp" rxonly --vdev=net_af_xdp0,iface=p1
    testpmd "$tag-xt" 0 "$tag-xp" txonly --vdev=net_af_xdp0,iface=p0 -- --txpkts=64
    testpmd_say "$tag-xr" start
    testpmd_say "$tag-xt" start
    sleep 0.3
    testpmd_rate "$tag-xr" 0 rx
    testpmd_quit "$tag-xt" "$tag-xr"
}

middle_up() {
    local id
    namespace "$tag-xs"
    for id in 1 2; do
        namespace "$tag-x$id"
        ip -n "$tag-xs" link add "v$id" type veth peer name e0 netns "$tag-x$id"
        ip -n "$tag-xs" link set "v$id" up
        ip -n "$tag-x$id" link set e0 up
    done
    ip -n "$tag-x2" addr add 192.0.2.2/24 dev e0
    testpmd "$tag-xg" 0 "$tag-x1" txonly --vdev=net_af_xdp0,iface=e0 -- --txpkts=64 \
        --eth-peer="0,$(inside "$tag-x2" cat /sys/class/net/e0/address)"
}

arrived() { inside "$tag-x2" cat /sys/class/net/e0/statistics/rx_packets; }

# through_box: Mpps that reach the far end while the generator runs.
through_box() {
    testpmd_say "$tag-xg" start
    sleep 0.3
    local begin frames
    begin=$EPOCHREALTIME
    frames=$(arrived)
    sleep "$pps_seconds"
    awk -v t="$EPOCHREALTIME" -v t0="$begin" -v n="$(arrived)" -v n0="$frames" 'BEGIN { printf "%.6f\n", (n - n0) / (t - t0) / 1e6 }'
    testpmd_say "$tag-xg" stop
}

ours_middle() {
    local daemon
    transient ip netns exec "$tag-xs" "$(command -v valed)" --cores 1 --idle busy >"$scratch/valed.log" 2>&1
    daemon=$started
    until_true test -S "$VALE_SOCKET"
    until_true vale-ctl -a vale0:v1
    until_true vale-ctl -a vale0:v2
    inside "$tag-x2" ping -c 1 -W 0.1 192.0.2.1 >/dev/null || true # has the switch learn where the far end is
    through_box
    kill "$daemon"
    wait "$daemon" || true
}

dpdk_middle() {
    testpmd "$tag-xb" 1 "$tag-xs" io --vdev=net_af_xdp0,iface=v1 --vdev=net_af_xdp1,iface=v2
    testpmd_say "$tag-xb" start
    through_box
    testpmd_quit "$tag-xb"
}

theme_afxdp() {
    two_cores_here || return 0
    if peer_packages "DPDK net_af_xdp" "${testpmd_packages[@]}"; then
        pair_up
        compare_across_cores "64 B, app - switch - AF_XDP = AF_XDP - switch - app / DPDK" Mpps "ratio >= 0.95" ours_pair dpdk_pair
        middle_up
        compare_across_cores "64 B, veth - AF_XDP - switch - AF_XDP - veth / DPDK" Mpps "ratio >= 0.95" ours_middle dpdk_middle
        testpmd_quit "$tag-xg"
    else
        pair_up
        compare_across_cores "64 B, app - switch - AF_XDP = AF_XDP - switch - app" Mpps "" ours_pair ""
    fi
}
