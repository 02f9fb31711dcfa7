# Plots of the curves. Sourced by scripts/bench.
plots() { :; }
