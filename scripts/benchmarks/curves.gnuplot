# The curves of bench.json, one SVG each. Variables: from (directory of the tables), to (directory of the plots).
# A table is tab-separated: x, then one column a series, the first line their names; "?" is what was not measured.

set datafile separator tab
set datafile missing "?"
set encoding utf8
set border 3 lc rgb "#9a9a9a"
set tics nomirror out scale 0.6,0 textcolor rgb "#404040"
set grid ytics lc rgb "#e6e6e6" lt 1
set key autotitle columnhead Left reverse samplen 2.5 spacing 1.3 textcolor rgb "#202020"
set style line 1 lc rgb "#0b6e99" lw 2.2 pt 7 ps 0.55
set style line 2 lc rgb "#d1662b" lw 2.2 pt 7 ps 0.55
set style line 3 lc rgb "#0b6e99" lw 2.2 dt (6,4) pt 7 ps 0.45
set style line 4 lc rgb "#d1662b" lw 2.2 dt (6,4) pt 7 ps 0.45
set style line 5 lc rgb "#0b6e99" lw 2.2 dt (1,3) pt 7 ps 0.45
set style line 6 lc rgb "#d1662b" lw 2.2 dt (1,3) pt 7 ps 0.45
set lmargin 10
set rmargin 4
set logscale x 2
set yrange [0:*]

# The curves of one table, with line styles in the order given.
columns(file) = int(system(sprintf("head -n 1 '%s' | awk -F '\t' '{ print NF }'", file)))
draw = "plot for [i=2:columns(file)] file using 1:i with linespoints ls word(styles, i - 1)"
styles = "1 2 3 4"

set terminal svg size 860,760 font "Helvetica,13" background rgb "white" dynamic
set output to."/size.svg"
set multiplot layout 2,1 title "One core: generator, switch and sink in turn, over the size of frames" font ",15" offset 0,-0.3
set xrange [56:75000]
set xtics ("64" 64, "128" 128, "256" 256, "512" 512, "1514" 1514, "4096" 4096, "9000" 9000, "64 KiB" 65536)
set ylabel "Mpps"
set logscale y 10
set yrange [*:*]
set key inside top right
file = from."/size-mpps.tsv"
@draw
unset logscale y
set yrange [0:*]
set ylabel "Gbit/s"
set xlabel "bytes a frame, without FCS"
set key inside bottom right
file = from."/size-gbits.tsv"
@draw
unset multiplot

set terminal svg size 860,440 font "Helvetica,13" background rgb "white" dynamic
set key inside top left

set output to."/ports.svg"
set title "One core: what a frame costs, over the ports of the switch" font ",15"
set xrange [1.85:138]
set xtics (2, 4, 8, 16, 32, 64, 128)
set xlabel "ports"
set ylabel "ns a frame"
set logscale y 2
set yrange [4:*]
set rmargin 31
set key outside right top
styles = "1 3 5 2 4 6"
file = from."/ports.tsv"
@draw
unset logscale y
set yrange [0:*]
set rmargin 4
set key inside top left

set output to."/burst.svg"
set title "One core: what goes through, over the burst of the generator" font ",15"
set xrange [0.9:1140]
set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
set xlabel "frames a burst"
set ylabel "Mpps"
styles = "1 3 2 4"
file = from."/burst.tsv"
@draw

set output to."/stations.svg"
set title "One core: what a frame costs, over the stations that talk" font ",15"
set xrange [1.7:1250000]
set xtics ("2" 2, "16" 16, "128" 128, "1024" 1024, "8192" 8192, "65,536" 65536, "1,048,576" 1048576)
set xlabel "stations (MAC addresses), half of them senders"
set ylabel "ns a frame"
styles = "1 2 3 4"
file = from."/stations.tsv"
@draw
