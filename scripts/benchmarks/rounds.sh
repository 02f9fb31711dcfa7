# Rounds, figures and the table. Sourced by scripts/bench.
#
# Figures are written down as they come, one a line, into files of $scratch; summary.jq makes the table's rows and
# the JSON of them, so that both say the same.

rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-2}
pps_seconds=${PPS_SECONDS:-1}
case_seconds=${CASE_SECONDS:-0.1}
theme=""

figures_begin() {
    cases_file=$scratch/cases.tsv     # theme case unit bar note
    figures_file=$scratch/figures.tsv # case side round value; side is ours, peer or core-to-core
    curves_file=$scratch/curves.tsv   # curve series x round value
    : >"$cases_file"
    : >"$figures_file"
    : >"$curves_file"
    account_file=$scratch/account.tsv # length step nanoseconds instructions
    : >"$account_file"
    printf '%-62s %9s %9s %-7s %7s  %s\n' "case (ours / peer; median of $rounds)" ours peer "" ratio "bar"
}

# case_begin CASE UNIT BAR: BAR is "ratio >= 1.5", "ratio <= 6", "ours <= 2", or nothing.
case_begin() { printf '%s\t%s\t%s\t%s\t\n' "$theme" "$1" "$2" "$3" >>"$cases_file"; }

# figure CASE SIDE ROUND VALUE: an empty value is one that could not be had.
figure() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$figures_file"; }

# case_end CASE: prints its row.
case_end() { summary row "$1"; }

# summary row|json|curve|kept|account [CASE|CURVE]
summary() {
    jq -nr -f "$root/scripts/benchmarks/summary.jq" --arg what "$1" --arg of "${2:-}" --arg rounds "$rounds" \
        --rawfile cases "$cases_file" --rawfile figures "$figures_file" --rawfile curves "$curves_file" \
        --rawfile account "$account_file" \
        --arg machine "$(lscpu | sed -n 's/^Model name: *//p' | head -n 1), $(nproc) cores, Linux $(uname -r)"
}

# not_here CASE WHY: a peer, or a row, that cannot be had on this machine.
not_here() {
    printf '%s\t%s\t\t\t%s\n' "$theme" "$1" "$2" >>"$cases_file"
    printf '   not measured here: %s: %s\n' "$1" "$2"
}

median() { sort -g | awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# either FUNCTION ARGUMENT...: what it prints, or nothing where it fails; the rest of the round goes on.
either() { ("$@") || true; }

# compare CASE UNIT BAR OURS PEER: two functions that print one number each, run in turn, round by round.
compare() {
    local name=$1 ours=$4 peer=$5 round
    case_begin "$name" "$2" "$3"
    for round in $(seq "$rounds"); do
        figure "$name" ours "$round" "$(either "$ours")"
        figure "$name" peer "$round" "$(either "$peer")"
    done
    case_end "$name"
}

# The same for what crosses two cores: their distance is taken before, between and after, and only rounds in which it
# stayed what it mostly is are compared.
compare_across_cores() {
    local name=$1 ours=$4 peer=$5 round
    case_begin "$name" "$2" "$3"
    for ((round = 1; ; round++)); do
        another_round "$name" "$round" || break
        distance "$name" "$round"
        figure "$name" ours "$round" "$(either "$ours")"
        distance "$name" "$round"
        [ -z "$peer" ] || figure "$name" peer "$round" "$(either "$peer")"
        distance "$name" "$round"
    done
    case_end "$name"
}

# another_round CASE ROUND: whether to take it. Up to three more than asked for, to make up for those left out.
another_round() {
    [ "$2" -le "$rounds" ] || { [ "$2" -le $((rounds + 3)) ] && [ "$(summary kept "$1")" -lt "$rounds" ]; }
}

distance() { figure "$1" core-to-core "$2" "$(bench_program core-to-core 0 1)"; }

# transient COMMAND...: starts it in the background, to end with the subshell that takes the measurement at the latest.
transient() {
    "$@" &
    started=$!
    ends_with_us "$started"
}

# ends_with_us PID: the jobs of the script itself are another matter, and `jobs -p` would list them here too.
transients=()
ends_with_us() {
    if [ "$BASH_SUBSHELL" = 0 ]; then
        processes+=("$1")
    else
        transients+=("$1")
        trap 'kill "${transients[@]}" 2>/dev/null || true' EXIT
    fi
}

# switch_up CORES [PORT...]: a daemon that spins on these cores, with these ports attached, until switch_down.
switch_up() {
    local cores=$1 port; shift
    transient valed --cores "$cores" --idle busy >"$scratch/valed.log" 2>&1
    switch_pid=$started
    until_true test -S "$VALE_SOCKET"
    for port in "$@"; do vale-ctl -a "$port" 2>/dev/null; done
}

switch_down() {
    kill "$switch_pid"
    wait "$switch_pid" || true
}

# The measuring programs are cargo's, built once; run directly, since cargo takes longer to start than they do.
bench_programs_build() {
    bench_programs=$(cargo bench --locked --quiet -p switch --bench forward --bench core-to-core --no-run \
        --message-format json | jq -r 'select(.executable and .target.kind == ["bench"]) | "\(.target.name)=\(.executable)"')
}

bench_program() { # NAME ARGUMENT...
    bench_program_under env "$@"
}

bench_program_under() { # WRAPPER NAME ARGUMENT...
    local program
    program=$(sed -n "s/^$2=//p" <<<"$bench_programs")
    # shellcheck disable=SC2086
    $1 "$program" "${@:3}"
}

# two_cores_here: whether there are two cores to measure across; else says that there are not.
two_cores_here() {
    [ "$(nproc)" -ge 2 ] && return 0
    not_here "$theme" "needs two cores (this machine lets us have $(nproc))"
    return 1
}

# peer_packages CASE PACKAGE...: installs what a peer needs, or names it as missing.
peer_packages() {
    local name=$1; shift
    if (need "$@") >"$scratch/apt.log" 2>&1; then return 0; fi
    not_here "$name" "Debian packages not installed: $* ($(tail -n 1 "$scratch/apt.log"))"
    return 1
}
