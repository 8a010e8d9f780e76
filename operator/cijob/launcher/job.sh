#!/bin/sh
# PID 1 of the job container: waits for the daemon, runs the script, then the after script, and reports. POSIX sh.
set -u
root=${CIJOB_ROOT:-/.cijob}
log=${CIJOB_TERMINATION_LOG:-/dev/termination-log}
part=daemon entry=0 signal= daemon=none mark= child=

say() { printf 'cijob: %s\n' "$*" >&2; }

peak_memory() {
    cat /sys/fs/cgroup/memory.peak 2>/dev/null || cat /sys/fs/cgroup/memory/memory.max_usage_in_bytes 2>/dev/null || echo null
}

finish() { # finish CODE
    [ -z "$mark" ] || [ "$(cat "$root/daemon/ready" 2>/dev/null)" = "$mark" ] || daemon=lost
    quoted=null
    [ -z "$signal" ] || quoted="\"$signal\""
    printf '{"exitCode":%d,"part":"%s","entry":%d,"signal":%s,"daemon":"%s","peakMemory":%s}\n' \
        "$1" "$part" "$entry" "$quoted" "$daemon" "$(peak_memory)" >"$log" 2>/dev/null || :
    exit "$1"
}

on_signal() { # on_signal NAME
    signal=$1
    [ -z "$child" ] || kill "-$1" -- "-$child" 2>/dev/null || kill "-$1" "$child" 2>/dev/null || :
}

wait_for_daemon() {
    left=$((CIJOB_START_TIMEOUT * 20))
    until [ -e "$root/daemon/ready" ]; do
        [ -z "$signal" ] || finish 143
        if [ "$left" -le 0 ]; then
            say "the Docker daemon was not ready after $CIJOB_START_TIMEOUT s: see the log of the container dind"
            daemon=timeout
            finish 125
        fi
        if sleep 0.05 2>/dev/null; then left=$((left - 1)); else sleep 1; left=$((left - 20)); fi
    done
    mark=$(cat "$root/daemon/ready")
    daemon=ready
}

start() { # start COMMAND...: in a process group of its own, where possible
    if command -v setsid >/dev/null 2>&1; then setsid "$@" </dev/null & else "$@" </dev/null & fi
    child=$!
}

wait_for_child() { # gives its exit code, although signals end `wait` early
    code=0
    wait "$child" || code=$?
    while kill -0 "$child" 2>/dev/null; do
        code=0
        wait "$child" || code=$?
    done
    kill -KILL -- "-$child" 2>/dev/null || :
    child=
    return "$code"
}

choose_shell() {
    shell=sh
    case ${CIJOB_SHELL:-Auto} in
    bash) shell=bash ;;
    Auto) ! command -v bash >/dev/null 2>&1 || shell=bash ;;
    esac
    command -v "$shell" >/dev/null 2>&1 || { say "the image has no $shell: write shell: Auto, or use an image with $shell"; part=before; finish 127; }
}

run_after() { # run_after CODE
    [ -s "$root/launcher/after" ] || return 0
    [ "$(cat "$root/launcher/cancel" 2>/dev/null)" != Immediate ] || return 0
    status=failed
    [ "$1" -ne 0 ] || status=success
    [ -z "$signal" ] || status=canceled
    CIJOB_STATUS=$status CIJOB_EXIT_CODE=$1
    export CIJOB_STATUS CIJOB_EXIT_CODE
    start "$shell" -c '. "$1"; . "$2"' cijob "$root/launcher/prelude.sh" "$root/launcher/after"
    wait_for_child || say "the after script ended with $code; that does not change the job's outcome"
}

trap 'on_signal TERM' TERM
trap 'on_signal INT' INT
[ "${CIJOB_DAEMON:-0}" != 1 ] || wait_for_daemon
choose_shell
part=script
start "$shell" -c '. "$1"; . "$2"' cijob "$root/launcher/prelude.sh" "$root/launcher/script"
result=0
wait_for_child || result=$?
read -r part entry <"$root/run/entry" 2>/dev/null || :
run_after "$result"
finish "$result"
