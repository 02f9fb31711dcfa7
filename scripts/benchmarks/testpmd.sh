# DPDK's testpmd, driven by its prompt. Sourced by scripts/bench.
#
# Each process has a main thread (the prompt) and one forwarding thread, both on the core named: nothing of it runs
# elsewhere, and while forwarding is stopped both sleep, so that ours and DPDK's may be measured in turn.

testpmd_packages=(dpdk-dev librte-net-memif23 librte-net-af-xdp23 librte-bus-vdev23 librte-mempool-ring23)
# No hugepages: what a user gets without a step as root.
testpmd_memory=(--no-huge -m 512)
declare -A testpmd_prompt testpmd_pid

# testpmd NAME CORE NAMESPACE|- MODE EAL-ARGUMENT... [-- TESTPMD-ARGUMENT...]: starts one and waits for its prompt.
testpmd() {
    local name=$1 core=$2 where=$3 mode=$4 eal=() prompt
    shift 4
    while [ $# -gt 0 ] && [ "$1" != -- ]; do eal+=("$1"); shift; done
    [ $# -eq 0 ] || shift
    local as=()
    [ "$where" = - ] || as=(ip netns exec "$where")
    mkdir -p "$scratch/dpdk"
    rm -f "$scratch/$name.prompt"
    mkfifo "$scratch/$name.prompt"
    exec {prompt}<>"$scratch/$name.prompt"
    # RUNTIME_DIRECTORY is where DPDK leaves its files.
    RUNTIME_DIRECTORY=$scratch/dpdk "${as[@]}" stdbuf -oL dpdk-testpmd --lcores "0@$core,1@$core" "${testpmd_memory[@]}" --no-pci \
        --no-telemetry --file-prefix "$name" "${eal[@]}" -- -i --total-num-mbufs=16384 --forward-mode="$mode" "$@" \
        <&"$prompt" >"$scratch/$name.out" 2>&1 &
    testpmd_pid[$name]=$!
    ends_with_us "$!"
    testpmd_prompt[$name]=$prompt
    until_true testpmd_ready "$name"
}

# The prompt, or its end, in which case the last line says why.
testpmd_ready() {
    grep -q '^testpmd>' "$scratch/$1.out" && return 0
    kill -0 "${testpmd_pid[$1]}" 2>/dev/null || die "testpmd $1 ended: $(grep -iE 'error|fail|cause' "$scratch/$1.out" | head -n 1)"
    return 1
}

testpmd_say() { echo "${*:2}" >&"${testpmd_prompt[$1]}"; }

# testpmd_rate NAME PORT rx|tx: Mpps that its port sees during SECONDS, by DPDK's own clock: the rate shown is that since
# it was shown last. Of several PORTs, "0 1", the sum.
testpmd_rate() {
    local port
    for port in $2; do testpmd_show "$1" "$port" >/dev/null; done
    sleep "$pps_seconds"
    for port in $2; do testpmd_show "$1" "$port"; done |
        awk -v want="${3^}-pps:" '$1 == want { sum += $2 } END { if (NR) printf "%.6f\n", sum / 1e6 }'
}

testpmd_show() { # NAME PORT: the statistics, once they are there
    local shown
    shown=$(wc -l <"$scratch/$1.out")
    testpmd_say "$1" show port stats "$2"
    local i
    for i in $(seq 200); do
        tail -n "+$((shown + 1))" "$scratch/$1.out" | grep -q 'Tx-pps:' && break
        sleep 0.01
    done
    tail -n "+$((shown + 1))" "$scratch/$1.out"
}

testpmd_quit() { # NAME...
    local name prompt
    for name in "$@"; do
        prompt=${testpmd_prompt[$name]}
        testpmd_say "$name" stop
        testpmd_say "$name" quit
        wait "${testpmd_pid[$name]}" 2>/dev/null || true
        exec {prompt}>&-
    done
}
