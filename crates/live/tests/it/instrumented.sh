#!/bin/sh
# A node whose contextualisation stops at breakpoints, as scripts do that were
# instrumented for SZTAKI's debugger: it reports where it is, asks until it may
# go on, and reports its variables anew whenever it is asked to.
#
# usage: instrumented.sh SERVER INFRASTRUCTURE ID NAME BREAKPOINTS QUERY PAUSE
set -u
server=$1 infrastructure=$2 id=$3 name=$4 breakpoints=$5 query=$6 pause=$7
work=0

report() {
    printf '{"processData":{"infraID":"%s","infraName":"test","nodeID":"%s","nodeName":"%s","bpTag":"%s"},' \
        "$infrastructure" "$id" "$name" "$1"
    printf '"userData":{"nodeIP":"127.0.0.1","work":"%s"}}' "$work"
}

send() {
    curl --silent --output /dev/null --max-time 60 --data "$(report "$2")" \
        "$server/$1/$infrastructure/$id/"
}

breakpoint() {
    send Submit "$1" || exit 2
    case $1 in *last*) return ;; esac
    while :; do
        code=$(curl --silent --output /dev/null --max-time 60 --write-out '%{http_code}' \
            "$server/Next/$infrastructure/$id/$query")
        case $code in
        200) return ;;
        204) sleep "$pause" ;;
        205) send Refresh "$1" ;;
        *) exit 3 ;;
        esac
    done
}

breakpoint first
number=2
while [ "$number" -lt "$breakpoints" ]; do
    work=$((work + 1))
    breakpoint "bp_$number"
    number=$((number + 1))
done
work=$((work + 1))
breakpoint "last last_bp"
