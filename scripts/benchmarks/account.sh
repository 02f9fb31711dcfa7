# The account of one frame: nanoseconds and instructions of each step of its way, on one core. Sourced by scripts/bench.
#
# Nanoseconds are medians of the same rounds as those of the theme frames. Instructions are callgrind's, which repeat
# exactly: two runs of different length, whose difference is that of nothing but frames.

account_passes=(20 120)
account_burst=256

theme_account() {
    [ -s "$scratch/forward.1" ] || forward_rounds
    local length counted=yes
    peer_packages "instructions a frame" valgrind || counted=no
    for length in 64 1514; do
        if [ "$counted" = yes ] && ! (count_instructions "$length") >"$scratch/instructions.$length"; then
            not_here "instructions a frame" "$(tail -n 1 "$scratch/valgrind.log")"
            counted=no
        fi
        account_rows "$length" >>"$account_file"
    done
    printf '\n%-38s %9s %9s %12s %9s %9s %12s\n' "the account of one frame" "64 B" ns instructions "1514 B" ns instructions
    summary account
    echo
}

# count_instructions LENGTH: "STEP<TAB>COUNT" a frame.
count_instructions() {
    local passes
    for passes in "${account_passes[@]}"; do
        # The libraries choose their copies by the processor that they see, and here that is valgrind's: AVX2, no AVX-512.
        bench_program_under "valgrind --tool=callgrind --callgrind-out-file=$scratch/callgrind.$passes" forward \
            --passes "$1" "$passes" >/dev/null 2>"$scratch/valgrind.log" || return 1
    done
    awk -v frames="$(((account_passes[1] - account_passes[0]) * account_burst))" -f "$root/scripts/benchmarks/account.awk" \
        "$scratch/callgrind.${account_passes[0]}" "$scratch/callgrind.${account_passes[1]}"
}

# account_rows LENGTH: "LENGTH<TAB>STEP<TAB>NANOSECONDS<TAB>INSTRUCTIONS", one for each step, in order.
account_rows() {
    local step round
    for step in write publish receive classify copy release flush sink-receive sink-release; do
        printf '%s\t%s\t%s\t%s\n' "$1" "$step" \
            "$(for round in $(seq "$rounds"); do forward "$1/step/$step" "$round"; done | median)" \
            "$(awk -F '\t' -v step="$step" '$1 == step { print $2 }' "$scratch/instructions.$1" 2>/dev/null)"
    done
    printf '%s\t%s\t%s\t\n' "$1" whole "$(for round in $(seq "$rounds"); do forward "$1/burst/256" "$round"; done | median)"
    printf '%s\t%s\t%s\t\n' "$1" copy-alone "$(for round in $(seq "$rounds"); do forward "$1/copy" "$round"; done | median)"
}
