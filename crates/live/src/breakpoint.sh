#!/bin/sh
# A breakpoint of a contextualisation: stops here until the debugger lets the
# node go on. Where no debugger is configured it does nothing.
#
# usage: breakpoint TAG [NAME=VALUE]...
#
# The variables are reported with the breakpoint. What an executable
# /etc/zenekar/variables prints, one NAME=VALUE on a line, is reported too, and
# asked for again whenever the debugger wants to know.

root=${ZENEKAR_ROOT:-}
configuration=${ZENEKAR_DEBUGGER:-$root/etc/zenekar/debugger}
collector=${ZENEKAR_VARIABLES:-$root/etc/zenekar/variables}
[ -r "$configuration" ] || exit 0
server='' path='' identity='' token=''
. "$configuration"
[ -n "$server" ] || exit 0
if [ $# -eq 0 ]; then
    echo "usage: breakpoint TAG [NAME=VALUE]..." >&2
    exit 64
fi
tag=$1
shift
# The debugger is near; proxies lead away from it.
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
address=$(hostname -I 2>/dev/null)
address=${address%% *}

# Prints a text as it stands between quotes in JSON. Most need no other program.
quoted() {
    case $1 in
    *[!A-Za-z0-9\ ._:/@+=,-]*)
        printf '%s' "$1" | tr '\000-\037' ' ' | sed 's/\\/\\\\/g; s/"/\\"/g'
        ;;
    *) printf '%s' "$1" ;;
    esac
}

variable() {
    case $1 in
    *=*)
        printf ',"'
        quoted "${1%%=*}"
        printf '":"'
        quoted "${1#*=}"
        printf '"'
        ;;
    esac
}

# Without a collector nothing changes, and nobody has to ask again.
steady='"steady":"yes",'
[ ! -x "$collector" ] || steady=''

report() {
    printf '{"processData":{ %s,"visit":"%s",%s"bpTag":"' "$identity" "$$" "$steady"
    quoted "$tag"
    printf '"},"userData":{"nodeIP":"%s"' "${address:-unknown}"
    for pair in "$@"; do
        variable "$pair"
    done
    if [ -x "$collector" ]; then
        "$collector" | while IFS= read -r pair; do
            variable "$pair"
        done
    fi
    printf '}}'
}

# ask PATH [BODY]: the answer's text; fails unless the status is that of success
ask() {
    if command -v curl >/dev/null 2>&1; then
        curl --silent --fail --max-time 90 ${token:+--header "Authorization: Bearer $token"} \
            ${2+--data-binary "$2"} "$server$1"
    else
        wget -q -O - -T 90 ${token:+--header "Authorization: Bearer $token"} \
            ${2+--post-data "$2"} "$server$1"
    fi
}

failures=0
question=Submit
while :; do
    query="$path?as=text&wait_ms=20000"
    case $question in
    Next) answer=$(ask "/Next/$query") ;;
    *) answer=$(ask "/$question/$query" "$(report "$@")") ;;
    esac
    # Without an answer the same is asked again: a breakpoint counts once.
    case $answer in
    go) exit 0 ;;
    refresh) question=Refresh failures=0 ;;
    wait) question=Next failures=0 ;;
    *)
        # A debugger that is gone must not keep the node from starting.
        failures=$((failures + 1))
        if [ "$failures" -ge 5 ]; then
            echo "breakpoint $tag: the debugger does not answer, going on without it" >&2
            exit 0
        fi
        sleep 1
        ;;
    esac
done
