# Sums what callgrind counted by the steps of a frame's way. Reads two of its files, of a short and a long run; variable
# frames: how many more the long run moved. Prints "STEP<TAB>INSTRUCTIONS A FRAME".
#
# In such a file "fn=(7) name" opens a function's own lines, "cfn=(9) name" and "calls=" announce a call whose inclusive
# count stands on the next line, and a name is written out once.

function called(text,    id, at) {
    match(text, /\([0-9]+\)/)
    id = FILENAME SUBSEP substr(text, RSTART, RLENGTH)
    at = substr(text, RSTART + RLENGTH + 1)
    if (at != "") name[id] = at
    return name[id]
}

# The step that a call belongs to, by who is called and whether it is the switch that calls.
function step(callee, by_switch) {
    if (callee ~ /Tx>::(reserve|commit|repeat)$/) return "write"
    if (callee ~ /Tx>::transmit$/) return "copy"
    if (callee ~ /Rx>::receive$/) return by_switch ? "receive" : "sink-receive"
    if (callee ~ /Rx>::release$/) return by_switch ? "release" : "sink-release"
    if (callee ~ /Forwarder::flush$/) return "flush"
    if (callee ~ /Tx>::flush$/) return by_switch ? "" : "publish"
    if (callee ~ /Forwarder::forward$/) return "forward"
    return ""
}

FNR == 1 { sign = NR == 1 ? -1 : 1 }

/^fn=/ { caller = called($0); next }
/^cfn=/ { callee = called($0); next }
/^calls=/ {
    getline
    which = step(callee, caller ~ /^switch::/)
    # The generator's own copies; those of the switch are within transmit.
    if (which == "" && callee ~ /mem(cpy|move)/ && caller ~ /^forward::/) which = "write"
    if (which != "") sum[which] += sign * $2
    next
}
# What the generator and the sink do themselves, between their calls.
/^[0-9+*-]/ { if (caller ~ /^forward::/) sum["write"] += sign * $2 }

END {
    sum["classify"] = sum["forward"] - sum["receive"] - sum["copy"] - sum["release"]
    delete sum["forward"]
    for (which in sum) printf "%s\t%.1f\n", which, sum[which] / frames
}
