# What the switch costs a frame on one core: generator, switch and sink in turn, beside the bare copy of the same run.
# Sourced by scripts/bench.

# Each round runs every case once, so that all cases of it saw the machine at the same speed.
forward_rounds() {
    local round
    for round in $(seq "$rounds"); do
        bench_program forward "$case_seconds" --tsv >"$scratch/forward.$round"
    done
}

# forward NAME ROUND: the nanoseconds of NAME in that round.
forward() { awk -F '\t' -v name="$1" '$1 == name { print $2; exit }' "$scratch/forward.$2"; }

# within CASE BAR OURS PEER: a row of two figures of the forward benchmark, in nanoseconds.
within() {
    local round
    case_begin "$1" ns "$2"
    for round in $(seq "$rounds"); do
        figure "$1" ours "$round" "$(forward "$3" "$round")"
        figure "$1" peer "$round" "$(forward "$4" "$round")"
    done
    case_end "$1"
}

# beside CASE UNIT FACTOR BAR OURS FIGURE: a figure of ours, FACTOR / ns, beside one of a peer that cannot be run here.
beside() {
    local round
    case_begin "$1" "$2" "$4"
    for round in $(seq "$rounds"); do
        figure "$1" ours "$round" "$(awk -v f="$3" -v ns="$(forward "$5" "$round")" 'BEGIN { if (ns > 0) print f / ns }')"
        figure "$1" peer "$round" "$6"
    done
    case_end "$1"
}

# curve CURVE SERIES UNIT PATTERN: the figures whose names match, in ns, Mpps or Gbit/s. X is the third part of the name,
# or the first, which is the length.
curve() {
    local round
    for round in $(seq "$rounds"); do
        awk -F '\t' -v OFS='\t' -v curve="$1" -v series="$2" -v unit="$3" -v pattern="^$4\$" -v round="$round" '
            $1 ~ pattern {
                x = split($1, part, "/") == 3 ? part[3] : part[1]
                value = unit == "ns" ? $2 : (unit == "Mpps" ? 1e3 : 8 * part[1]) / $2
                print curve, series, x, round, value
            }' "$scratch/forward.$round" >>"$curves_file"
    done
}

curves() {
    curve size-mpps "generator, switch, sink" Mpps '[0-9]+/size'
    curve size-mpps "bare copy" Mpps '[0-9]+/copy'
    curve size-gbits "generator, switch, sink" Gbit/s '[0-9]+/size'
    curve size-gbits "bare copy" Gbit/s '[0-9]+/copy'
    local length
    for length in 64 1514; do
        curve ports "$length B, unicast in pairs" ns "$length/pairs/[0-9]+"
        curve ports "$length B, unicast in turn" ns "$length/ports/[0-9]+"
        curve ports "$length B, flood, a copy" ns "$length/flood/[0-9]+"
        curve burst "$length B, one frame again and again" Mpps "$length/repeat/[0-9]+"
        curve burst "$length B, each written anew" Mpps "$length/burst/[0-9]+"
        curve stations "$length B" ns "$length/stations/[0-9]+"
    done
}

theme_frames() {
    forward_rounds
    # A generator that sends the same frame again need not write it again; one whose frames differ does.
    within "64 B, app - switch - app, one core / bare copy" "ratio <= 6" 64/repeat/256 64/copy
    within "64 B, each frame written anew / bare copy" "ratio <= 6" 64/burst/256 64/copy
    within "1514 B, app - switch - app, one core / bare copy" "ratio <= 1.6" 1514/repeat/256 1514/copy
    within "1514 B, each frame written anew / bare copy" "ratio <= 1.6" 1514/burst/256 1514/copy
    beside "64 B, one core / Snabb's bridge (when measured)" Mpps 1e3 "ratio >= 1.5" 64/repeat/256 41.6
    beside "1514 B, one core / Snabb's bridge (when measured)" Gbit/s 12112 "ratio >= 1.2" 1514/repeat/256 263
    local ports
    for ports in 4:1.3 16:1.3 64:2 128:2; do
        within "64 B, ${ports%:*} ports, unicast in pairs / 2 ports" "ratio <= ${ports#*:}" "64/pairs/${ports%:*}" 64/pairs/2
        within "64 B, ${ports%:*} ports, unicast in turn / 2 ports" "ratio <= ${ports#*:}" "64/ports/${ports%:*}" 64/ports/2
    done
    for ports in 4 17 65; do
        within "64 B, flood to $((ports - 1)) ports, a copy / unicast" "ratio <= 1" "64/flood/$ports" 64/transmit/256
        within "1514 B, flood to $((ports - 1)) ports, a copy / unicast" "ratio <= 1" "1514/flood/$ports" 1514/transmit/256
    done
    local stations
    for stations in 1024 65536 1048576; do
        within "64 B, among $stations stations / 2 stations" "" "64/stations/$stations" 64/stations/2
    done
    within "64 B, three of four receivers, the fourth stopped / all well" "ratio <= 1.05" 64/overload/1 64/overload/0
    within "1514 B, the same" "ratio <= 1.05" 1514/overload/1 1514/overload/0
    curves
    not_here "VALE" "a kernel module; its authors say almost 20 Mpps and about 70 Gbit/s a core"
}
