# Hugepages of 2 MiB, lent to DPDK while a theme lasts. Sourced by scripts/bench.

hugepages_before=""

# hugepages_up MEGABYTES: lends so many, or says that there are not as many.
hugepages_up() {
    hugepages_before=$(sysctl -n vm.nr_hugepages)
    endings+=(hugepages_down)
    sysctl -qw "vm.nr_hugepages=$((hugepages_before + $1 / 2))"
    local free
    free=$(awk '$1 == "HugePages_Free:" { print $2 * 2 }' /proc/meminfo)
    [ "$free" -ge "$1" ] && return 0
    hugepages_down
    return 1
}

hugepages_down() {
    [ -z "$hugepages_before" ] || sysctl -qw "vm.nr_hugepages=$hugepages_before"
    hugepages_before=""
}
