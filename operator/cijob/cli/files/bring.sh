#!/bin/sh
# shellcheck disable=SC2154 # the line before this text sets cijob_transfer and cijob_seconds
# The first entry of beforeScript where `cijob run` brings files: waits until they are there. mark.sh, run beside it, leaves
# the marks. In a subshell: nothing of it reaches the script.
(
    set +e
    cijob_marks=${CIJOB_ROOT:-/.cijob}/run/$cijob_transfer
    IFS=' .' read -r cijob_began cijob_rest </proc/uptime
    until [ -e "$cijob_marks.brought" ]; do
        if [ -e "$cijob_marks.failed" ]; then
            IFS= read -r cijob_rest <"$cijob_marks.failed"
            printf 'cijob: %s\n' "$cijob_rest"
            exit 1
        fi
        IFS=' .' read -r cijob_now cijob_rest </proc/uptime
        if [ $((cijob_now - cijob_began)) -ge "$cijob_seconds" ]; then
            printf 'cijob: no files came within %s s: was "cijob run" ended?\n' "$cijob_seconds"
            exit 1
        fi
        sleep 0.1 2>/dev/null || sleep 1 || exit 127
    done
)
unset cijob_transfer cijob_seconds
