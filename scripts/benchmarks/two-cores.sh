# A sender on core 0, a receiver on core 1, isolated from each other: beside DPDK's memif between two processes.
# Sourced by scripts/bench.
#
# Ours: two apps in valed, each with a worker of its own, and the learning switch between them, which copies. DPDK's: two
# processes joined by a memif link, without a switch, which copies too. Lengths are those of the frame without FCS,
# on both sides; DPDK sends bursts of 32, as it always does, and ours 512, as netmap's pkt-gen always does.

# appliance_rate LENGTH: Mpps that arrive at a receiver on core 1 from a sender on core 0.
appliance_rate() {
    local receiver
    switch_up 0,1
    transient pkt-gen -N -i vale0:1 -f rx -a 1 >"$scratch/rx.out" 2>"$scratch/rx.err"
    receiver=$started
    until_true has_port vale0:1
    timeout -s INT "$pps_seconds" pkt-gen -N -i vale0:2 -f tx -a 0 -l "$1" >"$scratch/tx.out" 2>"$scratch/tx.err" || true
    kill -INT "$receiver"
    wait "$receiver" || true
    switch_down
    received_rate "$scratch/rx.out"
}

# received_rate FILE: Mpps of a pkt-gen that has ended, from the first frame it got to the last.
received_rate() { awk '$1 == "Speed:" { printf "%.6f\n", $2 / 1e6 }' "$1"; }

memif_up() { # LENGTH
    local link="id=0,socket=$scratch/memif.sock,socket-abstract=no,bsize=2048,rsize=11"
    testpmd "$tag-mr" 1 - rxonly --vdev="net_memif0,role=server,$link"
    testpmd "$tag-mt" 0 - txonly --vdev="net_memif0,role=client,$link" -- --txpkts="$1"
    sleep 2 # the two shake hands, on threads that the forwarding ones would starve
}

memif_rate() {
    testpmd_say "$tag-mr" start
    testpmd_say "$tag-mt" start
    sleep 0.3
    testpmd_rate "$tag-mr" 0 rx
    testpmd_say "$tag-mt" stop
    testpmd_say "$tag-mr" stop
    sleep 0.2
}

ours_64() { appliance_rate 64; }
ours_1514() { appliance_rate 1514; }

theme_two-cores() {
    two_cores_here || return 0
    local length peer
    local -a bars=([64]="ratio >= 1.5" [1514]="ratio >= 1.2")
    for length in 64 1514; do
        peer=""
        if peer_packages "DPDK memif, $length B" "${testpmd_packages[@]}"; then
            memif_up "$length"
            peer=memif_rate
        fi
        compare_across_cores "$length B, app on core 0 - switch - app on core 1 / DPDK memif" Mpps "${bars[$length]}" \
            "ours_$length" "$peer"
        [ -z "$peer" ] || testpmd_quit "$tag-mt" "$tag-mr"
    done
    not_here "VPP, L2 bridge between memifs" "no package; 36.5 Mpps, 132 Gbit/s on two near cores when it was measured, 15.5 and 32 on distant ones"
}
