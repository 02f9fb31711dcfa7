# Makes of the lines that rounds.sh wrote down what the table, the JSON and the plots show: $what is row, json, curve, kept or account, $of
# the case or curve.

def lines($text): $text | split("\n") | map(select(. != "") | split("\t"));
def number: if . == null or . == "" then null else (tonumber? // null) end;
def median: map(select(. != null)) | sort | length as $n
    | if $n == 0 then null elif $n % 2 == 1 then .[($n - 1) / 2] else (.[$n / 2 - 1] + .[$n / 2]) / 2 end;

# The rounds of one case: what each side reached, and how far apart the cores were.
def rounds_of($name): lines($figures) | map(select(.[0] == $name)) | group_by(.[2] | tonumber)
    | map({
        ours: (map(select(.[1] == "ours") | .[3] | number) | first),
        peer: (map(select(.[1] == "peer") | .[3] | number) | first),
        core_to_core_ns: map(select(.[1] == "core-to-core") | .[3] | number),
    });

# A round counts while its cores are as far apart as they mostly are, give or take a half.
def marked: ([.[].core_to_core_ns[]] | median) as $usual
    | map(. + {compared: ($usual == null or (.core_to_core_ns | all(. != null and . < $usual * 1.5 and . * 1.5 > $usual)))});

def met($bar; $value): if $bar == null or $value == null then null
    elif $bar.op == ">=" then $value >= $bar.value else $value <= $bar.value end;

def one_case: {theme: .[0], case: .[1], unit: .[2], note: (if .[4] == "" then null else .[4] end),
        bar: (.[3] | if . == "" then null else split(" ") | {of: .[0], op: .[1], value: (.[2] | tonumber)} end)}
    | .rounds = (rounds_of(.case) | marked)
    | (.rounds | map(select(.compared))) as $kept
    | .ours = ($kept | map(.ours) | median)
    | .peer = ($kept | map(.peer) | median)
    | .ratio = (if .ours != null and .peer != null and .peer != 0 then .ours / .peer else null end)
    | .core_to_core_ns = ([$kept[].core_to_core_ns[]] | median)
    | .met = met(.bar; if .bar.of == "ratio" then .ratio else .ours end);

def cases_all: lines($cases) | map(one_case);

# Lines in groups of one series each.
def in_order_of_appearance: . as $all
    | reduce .[] as $line ([]; if index([$line[1]]) then . else . + [$line[1]] end)
    | map(. as $name | $all | map(select(.[1] == $name)));

def curves_all: lines($curves) | group_by(.[0]) | map({
    curve: .[0][0],
    series: (in_order_of_appearance | map({
        name: .[0][1],
        points: (group_by(.[2] | tonumber)
            | map({x: (.[0][2] | tonumber), rounds: map(.[4] | number), median: (map(.[4] | number) | median)})),
    })),
});

def account_all: lines($account)
    | map({length: (.[0] | tonumber), step: .[1], ns: (.[2] | number), instructions: (.[3] | number)});

def json: {machine: $machine, rounds: ($rounds | tonumber), cases: cases_all, curves: curves_all, account: account_all};

# --- For people ---

def padded($n): tostring | . + (" " * ([$n - length, 0] | max));
def right($n): tostring | (" " * ([$n - length, 0] | max)) + .;
def decimals($n): if . == null then "-" else
    (. * pow(10; $n) | round | tostring | if startswith("-") then ["-", .[1:]] else ["", .] end) as [$sign, $digits]
    | ((("0" * ([$n + 1 - ($digits | length), 0] | max)) + $digits) | $sign + .[:-$n] + "." + .[-$n:]) end;

def apart: if .core_to_core_ns == null then "" else
    "  core to core \(.core_to_core_ns | round) ns"
    + ((.rounds | map(select(.compared)) | length) as $kept | (.rounds | length) as $all
        | if $kept == $all then "" else ", \($all - $kept) of \($all) rounds apart from that, left out" end) end;

def verdict: if .bar == null then "" else
    "\(if .bar.of == "ratio" then "" else "\(.bar.of) " end)\(.bar.op) \(.bar.value)"
    + (if .met == null then " not told" elif .met then " met" else " MISSED" end) end;

def row: "\(.case | padded(62)) \(.ours | decimals(2) | right(9)) \(.peer | decimals(2) | right(9)) "
    + "\(.unit | padded(7)) \(if .ratio == null then "" else "\(.ratio | decimals(2))x" end | right(7))  "
    + verdict + apart;

# Rounds that are compared.
def kept: cases_all | map(select(.case == $of)) | .[0].rounds | map(select(.compared)) | length;

def one_row: cases_all | map(select(.case == $of)) | .[] | row;

def spelled: {
    "write": "generator: reserve, write, commit",
    "publish": "generator: publish",
    "receive": "switch: receive",
    "classify": "switch: learn, look up, sort",
    "copy": "switch: copy into the egress ring",
    "release": "switch: release",
    "flush": "switch: publish",
    "sink-receive": "sink: receive",
    "sink-release": "sink: release",
    "whole": "all together, measured as one",
    "copy-alone": "a bare copy, for comparison",
}[.] // .;

# The account, a line a step, for each length of frame: its share of the bare copy, ns, instructions.
def account_table: account_all as $all
    | ($all | map(.length) | unique) as $lengths
    | ($all | map(select(.length == $lengths[0]) | .step))[] as $step
    | ($step | spelled | padded(38)) + ([
        $lengths[] as $length
        | ($all | map(select(.length == $length and .step == "copy-alone")) | first | .ns) as $copy
        | $all[] | select(.length == $length and .step == $step)
        | " " + (if .ns == null or $copy == null then "" else "\(.ns / $copy | decimals(2))x" end | right(9))
            + " " + (.ns | decimals(2) | right(9)) + " " + (if .instructions == null then "" else .instructions | decimals(1) end | right(12))
    ] | add);

# --- For gnuplot: x and one column a series, tab-separated ---

def table: curves_all[] | select(.curve == $of) | . as $c
    | ($c.series | map(.points[].x) | unique) as $xs
    | (["x"] + ($c.series | map(.name)) | @tsv),
      ($xs[] as $x | [$x, ($c.series[] | (.points | map(select(.x == $x)) | first | .median) // "?")] | @tsv);

if $what == "row" then one_row elif $what == "json" then json elif $what == "kept" then kept elif $what == "account" then account_table else table end
