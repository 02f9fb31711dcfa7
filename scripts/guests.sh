# Guests under QEMU: their command line, and a way to tell them what to do. Sourced after common.sh, not run.
#
# The command line stands here once: scripts/guest-test and the end-to-end tests boot their guests by scripts/launch-qemu.

image="$root/target/guest"

# qemu_command kvm|qemu NETWORK WHERE ADDRESS [JOB]: the command line of a guest, into the array $qemu.
#   NETWORK  vhost-user, stream, stream-server or dgram (WHERE: the port's socket), tap (WHERE: an interface that is there)
#            or user
#   ADDRESS  as 10.0.0.2/24
#   JOB      a shell script that it runs before it goes down, instead of a shell
qemu_command() {
    local kind=$1 network=$2 where=$3 address=$4 job=${5:-} device memory=() netdev=() again="" version
    version=$(qemu_version)
    # A front-end that lost us tries again, each second: by vhost-user always, by a stream from QEMU 8 on.
    if [ "$version" -ge 10 ]; then
        again=reconnect-ms=1000
    elif [ "$version" -ge 8 ] || [ "$network" = vhost-user ]; then
        again=reconnect=1
    fi
    device="virtio-net-pci,netdev=n0,romfile=,mac=$(guest_mac "$address")"
    case $network in
        vhost-user)
            memory=(-object "memory-backend-memfd,id=m0,size=256M,share=on" -machine "memory-backend=m0")
            netdev=(-chardev "socket,id=c0,path=$where,$again" -netdev "vhost-user,id=n0,chardev=c0")
            # QEMU 7.2 without KVM crashes when it is to unmask MSI-X vectors of a vhost-user device.
            [ "$kind" = kvm ] || [ "$version" -ge 10 ] || device+=",vectors=0"
            ;;
        stream) netdev=(-netdev "stream,id=n0,server=off,addr.type=unix,addr.path=$where${again:+,$again}") ;;
        stream-server) netdev=(-netdev "stream,id=n0,server=on,addr.type=unix,addr.path=$where") ;;
        dgram) netdev=(-netdev "dgram,id=n0,local.type=unix,local.path=$where.q,remote.type=unix,remote.path=$where") ;;
        tap) netdev=(-netdev "tap,id=n0,ifname=$where,script=no,downscript=no$(vhost_net "$kind")") ;;
        user) netdev=(-netdev "user,id=n0,net=10.0.0.0/24,host=10.0.0.200") ;;
    esac
    qemu=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -serial mon:stdio -m 256 -smp 1 -M q35)
    case $kind in
        kvm) qemu+=(-accel kvm -cpu host) ;;
        # Nehalem: later models have fast string instructions, which the emulator carries out byte by byte.
        qemu) qemu+=(-accel "tcg,thread=multi" -cpu Nehalem) ;;
    esac
    qemu+=(-kernel "$image/vmlinuz" -initrd "$image/initramfs.cpio"
        -append "console=ttyS0 quiet panic=-1 mitigations=off ip=$address"
        "${memory[@]}" "${netdev[@]}" -device "$device")
    [ -z "$job" ] || qemu+=(-fw_cfg "name=opt/run,file=$job")
}

# The major version of QEMU.
qemu_version() { qemu-system-x86_64 --version | sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p'; }

# guest_mac ADDRESS: it ends as the address does, so that two guests have two.
guest_mac() {
    local host=${1%/*}
    printf '52:54:00:76:00:%02x' "${host##*.}"
}

# The kernel's own back end of a TAP, by which a guest with KVM goes past QEMU, where the machine has it.
vhost_net() { if [ "$1" = kvm ] && [ -w /dev/vhost-net ]; then echo ",vhost=on"; fi; }

# kvm_boots: whether a guest comes up with KVM; that the device is there does not say so.
kvm_boots() {
    [ -w /dev/kvm ] || return 1
    local job said qemu
    job=$(mktemp)
    qemu_command kvm user - 10.0.0.1/24 "$job"
    said=$(ulimit -c 0; timeout -s KILL 30 "${qemu[@]}" </dev/null 2>&1) || true
    rm -f "$job"
    grep -q GUEST-DOWN <<<"$said"
}

# --- A guest that is told what to do on its console, line by line. ---

declare -A guest_in guest_out

# guest_boot NAME COMMAND...: boots one by a command that takes --run FILE. It may be spoken to at once.
guest_boot() {
    local name=$1 in out; shift
    cat >"$scratch/job" <<'JOB'
stty -echo </dev/ttyS0
echo GUEST-DONE up
while read -r line; do
    (eval "$line") </dev/null
    echo "GUEST-DONE $?"
done </dev/ttyS0
JOB
    mkfifo "$scratch/$name.in" "$scratch/$name.out"
    exec {in}<>"$scratch/$name.in"
    "$@" --run "$scratch/job" <"$scratch/$name.in" >"$scratch/$name.out" 2>"$scratch/$name.log" &
    processes+=("$!")
    exec {out}<"$scratch/$name.out"
    guest_in[$name]=$in
    guest_out[$name]=$out
    guest_says "$name" >"$scratch/$name.boot" || die "$name: does not come up: $(cat "$scratch/$name".{boot,log})"
}

# guest NAME COMMAND...: runs a command in it; prints what it prints, and ends as it ends.
guest() {
    local name=$1; shift
    printf '%s\n' "$*" >&"${guest_in[$name]}"
    guest_says "$name"
}

# guest_says NAME: what it says until it is done with a command.
guest_says() {
    local line
    while IFS= read -r -t 120 line <&"${guest_out[$1]}"; do
        line=${line%$'\r'}
        case $line in
            "GUEST-DONE up") return 0 ;;
            "GUEST-DONE "*) return "${line#GUEST-DONE }" ;;
            *) printf '%s\n' "$line" ;;
        esac
    done
    return 1
}
