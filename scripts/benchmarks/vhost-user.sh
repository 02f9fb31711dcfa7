# Guests by vhost-user, played by DPDK's virtio_user on core 0, with us on core 1: beside DPDK's net_vhost where we only
# take, beside OVS-DPDK where we switch. Sourced by scripts/bench.
#
#   in       testpmd txonly ── vm1, a lone port: the switch drops its frames, as there is nobody to go to
#            DPDK: testpmd rxonly on net_vhost, which copies each frame into a buffer of its own, and looks at none
#   through  testpmd mac ═╦═ vm1 ─ switch ─ vm2 ═╗   1024 frames a direction go round: all that the driver gets from one
#                         ╚══════════════════════╝   port it sends to the other
#            OVS: the same driver, its userspace datapath, action NORMAL, which learns as we do
#            DPDK: the same driver, and testpmd io on two net_vhost in our place, which hands each frame from port to port
#            and looks at none: what the driver's side of the rings leaves to anyone
#
# The driver fills its rings by itself, and it is the same for both. Its frames keep the bytes behind their addresses: at
# 1514 bytes the one copy of the switch, from guest memory to guest memory, is all that moves them.
#
# DPDK's memory, which is the guests' too, is hugepages, as its makers advise; they are given back at the end.

vhost_user_packages=("${testpmd_packages[@]}" librte-net-virtio23 librte-net-vhost23)
ovs_packages=(openvswitch-switch-dpdk)
ovs_vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
vhost_user_megabytes=1792

# guest_sends PATH: a driver that sends frames of 64 bytes to the one who listens there. Its prompt waits.
guest_sends() {
    testpmd "$tag-gt" 0 - txonly --single-file-segments --vdev="net_virtio_user0,path=$1" -- --txpkts=64
}

# guest_rate: Mpps that are taken from it, which is what it can send: nobody drops before they are taken.
guest_rate() {
    testpmd_say "$tag-gt" start
    sleep 0.3
    testpmd_rate "$tag-gt" 0 tx
}

ours_in() {
    switch_up 1 "vale0:vm1@vhost-user:path=$scratch/in.sock"
    guest_sends "$scratch/in.sock"
    guest_rate
    testpmd_quit "$tag-gt"
    switch_down
}

dpdk_in() {
    testpmd "$tag-gr" 1 - rxonly --vdev="net_vhost0,iface=$scratch/in.sock"
    guest_sends "$scratch/in.sock"
    testpmd_say "$tag-gr" start
    guest_rate
    testpmd_quit "$tag-gt" "$tag-gr"
}

# through LENGTH: Mpps that the switch on the other side of both sockets delivers, both directions together.
through() {
    local one=02:00:00:00:00:01 two=02:00:00:00:00:02
    rm -f "$scratch"/through[12].sock
    testpmd "$tag-gm" 0 - mac --single-file-segments \
        --vdev="net_virtio_user0,server=1,path=$scratch/through1.sock,mac=$one" \
        --vdev="net_virtio_user1,server=1,path=$scratch/through2.sock,mac=$two" \
        -- --txpkts="$1" --eth-peer="0,$two" --eth-peer="1,$one"
    testpmd_say "$tag-gm" start tx_first 32
    sleep 0.5
    testpmd_rate "$tag-gm" "0 1" rx
    testpmd_quit "$tag-gm"
}

ours_through() { # LENGTH
    switch_up 1 "vale0:vm1@vhost-user:path=$scratch/through1.sock,client" \
        "vale0:vm2@vhost-user:path=$scratch/through2.sock,client"
    through "$1"
    switch_down
}

ovs_through() { # LENGTH
    ovs_up
    local id
    for id in 1 2; do
        ovs_says add-port br0 "vm$id" -- set Interface "vm$id" type=dpdkvhostuserclient \
            "options:vhost-server-path=$scratch/through$id.sock"
    done
    through "$1"
    ovs_down
}

dpdk_through() { # LENGTH
    testpmd "$tag-gv" 1 - io --vdev="net_vhost0,client=1,iface=$scratch/through1.sock" \
        --vdev="net_vhost1,client=1,iface=$scratch/through2.sock"
    # Only one that spins would keep the driver's handshake waiting.
    testpmd_say "$tag-gv" start
    through "$1"
    testpmd_quit "$tag-gv"
}

# Open vSwitch in a place of its own: its database, sockets and logs in our directory, its interfaces in a namespace.
ovs_up() {
    local place=$scratch/ovs
    rm -rf "$place"
    mkdir "$place"
    export OVS_RUNDIR=$place OVS_DBDIR=$place OVS_LOGDIR=$place RUNTIME_DIRECTORY=$place
    ovsdb-tool create "$place/conf.db" /usr/share/openvswitch/vswitch.ovsschema
    transient ovsdb-server "$place/conf.db" "--remote=punix:$place/db.sock" >"$place/ovsdb-server.log" 2>&1
    ovsdb=$started
    until_true ovs_says --no-wait init
    ovs_says --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:dpdk-lcore-mask=0x1 \
        other_config:pmd-cpu-mask=0x2 "other_config:dpdk-extra=--in-memory --no-pci --no-telemetry"
    transient ip netns exec "$tag-ov" "$ovs_vswitchd" "unix:$place/db.sock" >"$place/ovs-vswitchd.log" 2>&1
    ovs=$started
    until_true ovs_says add-br br0 -- set bridge br0 datapath_type=netdev
}

ovs_says() { ovs-vsctl "--db=unix:$scratch/ovs/db.sock" -t 5 "$@"; }

ovs_down() {
    local pid
    for pid in "$ovs" "$ovsdb"; do
        kill "$pid"
        wait "$pid" 2>/dev/null || true
    done
}

ours_through_64() { ours_through 64; }
ours_through_1514() { ours_through 1514; }
dpdk_through_64() { dpdk_through 64; }
ovs_through_64() { ovs_through 64; }
ovs_through_1514() { ovs_through 1514; }

theme_vhost-user() {
    two_cores_here || return 0
    local in="64 B, virtio_user - vhost-user, dropped / DPDK net_vhost rxonly" length peer
    local -a bars=([64]="ratio >= 1.5" [1514]="ratio >= 1.2")
    if ! peer_packages "$in" "${vhost_user_packages[@]}"; then return 0; fi
    if ! hugepages_up "$vhost_user_megabytes"; then
        not_here "$in" "no $vhost_user_megabytes MiB of hugepages to be had"
        return 0
    fi
    local testpmd_memory=(--in-memory -m 256)
    compare_across_cores "$in" Mpps "ratio >= 1" ours_in dpdk_in
    namespace "$tag-ov"
    for length in 64 1514; do
        local through="$length B, virtio_user - vhost-user - switch - the same / OVS-DPDK"
        peer=""
        if peer_packages "$through" "${ovs_packages[@]}"; then peer=ovs_through_$length; fi
        compare_across_cores "$through" Mpps "${bars[$length]}" "ours_through_$length" "$peer"
    done
    compare_across_cores "64 B, virtio_user - vhost-user - switch - the same / DPDK, no switch" Mpps "" \
        ours_through_64 dpdk_through_64
    hugepages_down
}
