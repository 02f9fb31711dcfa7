# DPDK's net_memif on both sides of the switch: the driver on core 0, us on core 1. Sourced by scripts/bench.
#
#   ours   testpmd mac ═╦═ m1 ─ switch ─ m2 ═╗   1024 frames a direction go round: all that the driver gets from one
#                       ╚════════════════════╝   port it sends to the other
#   DPDK   testpmd mac ═╦═ testpmd io ═╗         the same driver, and in our place DPDK itself, which hands each frame from
#                       ╚══════════════╝         port to port, looks at none, and copies twice
#
# Frames delivered a second, both directions together. The driver's part is the same for both.

memif_packages=("${testpmd_packages[@]}")

# memif_through: Mpps that come back from the servers at the driver's two sockets.
memif_through() {
    local one=02:00:00:00:00:01 two=02:00:00:00:00:02 link="role=client,socket-abstract=no,bsize=2048,rsize=10"
    testpmd "$tag-md" 0 - mac \
        --vdev="net_memif0,$link,id=1,socket=$scratch/m1.sock,mac=$one" \
        --vdev="net_memif1,$link,id=2,socket=$scratch/m2.sock,mac=$two" \
        -- --txpkts=64 --eth-peer="0,$two" --eth-peer="1,$one"
    sleep 1 # they shake hands
    testpmd_say "$tag-md" start tx_first 32
    sleep 0.5
    testpmd_rate "$tag-md" "0 1" rx
    testpmd_quit "$tag-md"
}

ours_memif() {
    switch_up 1 "vale0:m1@memif:id=1,path=$scratch/m1.sock" "vale0:m2@memif:id=2,path=$scratch/m2.sock"
    memif_through
    switch_down
}

dpdk_memif() {
    local link="role=server,socket-abstract=no,bsize=2048,rsize=10"
    testpmd "$tag-ms" 1 - io --vdev="net_memif0,$link,id=1,socket=$scratch/m1.sock" \
        --vdev="net_memif1,$link,id=2,socket=$scratch/m2.sock"
    # Only one that spins would keep the other's handshake waiting, and ours is there already.
    testpmd_say "$tag-ms" start
    memif_through
    testpmd_quit "$tag-ms"
}

theme_memif() {
    two_cores_here || return 0
    local name="64 B, net_memif - switch - net_memif / bare DPDK memif"
    if ! peer_packages "$name" "${memif_packages[@]}"; then return 0; fi
    compare_across_cores "$name" Mpps "" ours_memif dpdk_memif
    not_here "VPP, L2 bridge between memifs, 64 B" "no package; 36.5 Mpps on two near cores when it was measured, 15.5 on distant ones"
}
