#!/bin/sh
# shellcheck disable=SC2034,SC2154 # the line before this text sets cijob_transfer, cijob_seconds and cijob_when
# The first entry of afterScript where `cijob run` takes artifacts or caches: when all of afterScript has run, says so in a line of the
# log that `cijob run` knows by its token, and holds the container until the files are taken.

# shellcheck disable=SC2329 # the trap calls it
cijob_hold() {
    trap - EXIT
    trap 'exit 143' TERM INT # `cancel: Immediate`: nobody waits any more
    set +eu
    case $cijob_when:${CIJOB_STATUS:-failed} in
    on_success:success | on_failure:failed | always:success | always:failed) ;;
    *) return 0 ;;
    esac
    printf 'cijob: files wait up to %s s for "cijob run" (%s, %s)\n' "$cijob_seconds" "$cijob_transfer" "${CIJOB_STATUS:-failed}"
    IFS=' .' read -r cijob_began cijob_rest </proc/uptime
    until [ -e "${CIJOB_ROOT:-/.cijob}/run/$cijob_transfer.taken" ]; do
        IFS=' .' read -r cijob_now cijob_rest </proc/uptime
        if [ $((cijob_now - cijob_began)) -ge "$cijob_seconds" ]; then
            printf 'cijob: nobody took the files within %s s: was "cijob run" ended?\n' "$cijob_seconds"
            return 0
        fi
        sleep 0.1 2>/dev/null || sleep 1 || return 0
    done
}
trap cijob_hold EXIT
