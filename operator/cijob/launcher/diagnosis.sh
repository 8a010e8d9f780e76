#!/bin/sh
# shellcheck disable=SC2154 # dind.sh sets root, socket, data, inner and innerpeak
# Sourced by dind.sh: what only the daemon's side knows about a job that failed.

answer_questions() { # the job sees our volume read-only, but may write into a pipe: each line is a question, named by itself
    ask=$root/daemon/ask
    { rm -f "$ask" && mkfifo "$ask" && chmod 666 "$ask"; } || return # reading too: the job opens it for both
    exec 9<>"$ask" # open for writing too: no end of file when the job closes its side
    while read -r question <&9; do
        case $question in '' | *[!A-Za-z0-9-]*) continue ;; esac
        { echo "$question" && echo "$(diagnose),\"innerPeakMemory\":$(number "$innerpeak")"; } >"$root/daemon/answer.new" && mv "$root/daemon/answer.new" "$root/daemon/answer"
    done
}

diagnose() { # members of a JSON object, none with a character that would need an escape
    echo "\"oomKilled\":$(killed_container),\"disk\":$(full_disk)"
}

killed_container() { # the last one that the kernel killed for memory
    # The end of the span is the daemon's own time: the clock's second would miss what happened within it.
    now=$(ours info --format '{{.SystemTime}}') && found=$(containers oom) || found=unknown
    [ -n "$found" ] || found=$(missed_kills)
    # shellcheck disable=SC2046 # three words, one or none; dind.sh has set -f
    set -- $(echo "$found" | tail -n 1)
    if [ $# -eq 3 ]; then
        limit=$(ours inspect --format '{{.HostConfig.Memory}}' "$1") || limit=null # it is gone: --rm
        [ "$limit" != 0 ] || limit=$(inner_limit)
        echo "{\"name\":\"$(safe "$2")\",\"image\":\"$(safe "$3")\",\"limit\":$limit}"
    elif grep -q '^oom_kill [1-9]' "$inner/memory.events" 2>/dev/null; then # v2 only: a step of a build is no container
        limit=null
        [ "$found" = unknown ] || limit=$(inner_limit)
        echo "{\"name\":\"\",\"image\":\"\",\"limit\":$limit}"
    else
        echo null
    fi
}

containers() { # containers EVENT: which ones had it, by ID, name and image
    ours events --since 0 --until "$now" --filter "event=$1" \
        --format '{{.Actor.ID}} {{.Actor.Attributes.name}} {{.Actor.Attributes.image}}'
}

missed_kills() { # the shim listens for kills once the program runs: of one that took its memory at once the kernel's log tells
    killed=$(dmesg 2>/dev/null | sed -n 's|.*oom-kill:.*task_memcg=[^,]*/\([0-9a-f]\{64\}\)[,/].*|\1|p')
    [ -z "$killed" ] || containers die | while read -r id name image; do
        case $killed in *"${id:-none}"*) echo "$id $name $image" ;; esac
    done
}

full_disk() { # less than 256 MiB and a twentieth is left: a failed pull has cleaned up behind itself
    # shellcheck disable=SC2046
    set -- $(df -Pk "$data" 2>/dev/null | tail -n 1)
    case ${2:-x}${4:-x} in
    *[!0-9]*) echo null ;;
    *)
        if [ "$4" -lt 262144 ] && [ "$4" -lt $(($2 / 20)) ]; then
            echo "{\"size\":$(($2 * 1024)),\"free\":$(($4 * 1024))}"
        else
            echo null
        fi
        ;;
    esac
}

ours() { # within 5 s: a daemon that hangs must not hold up its own end
    # shellcheck disable=SC2046 # two words or none
    $(command -v timeout >/dev/null && echo timeout 5) docker --host "unix://$socket" "$@" 2>/dev/null
}

inner_limit() {
    limit=$(number "$inner/memory.max")
    [ "$limit" != null ] || limit=$(number "$inner/memory.limit_in_bytes")
    case $limit in ????????????????*) limit=null ;; esac # v1 writes none as a number near 2^63
    echo "$limit"
}

safe() { printf %s "$1" | tr -c 'A-Za-z0-9_.:/@-' '_' | cut -c 1-120; }
