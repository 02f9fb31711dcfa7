# Plots of the curves, as SVG. Sourced by scripts/bench.

# plots DIRECTORY: draws there what the run has measured.
plots() {
    [ -s "$curves_file" ] || return 0
    local curve
    cut -f 1 "$curves_file" | sort -u | while read -r curve; do
        summary curve "$curve" >"$scratch/$curve.tsv"
    done
    gnuplot -e "from='$scratch'; to='$1'" "$root/scripts/benchmarks/curves.gnuplot"
    echo "   plots: $1/{size,ports,burst,stations}.svg"
}
