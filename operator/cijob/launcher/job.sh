#!/bin/sh
# PID 1 of the job container: waits for the Docker daemon and the services, runs the script, then the after script, and
# reports what happened in the termination message. POSIX sh: dash, bash and BusyBox ash run it.
#
# Environment: CIJOB_DAEMON (1: wait for one), CIJOB_START_TIMEOUT (seconds of that wait), CIJOB_SHELL (Auto, bash, sh),
# CIJOB_AFTER_TIMEOUT (seconds), CIJOB_GRACE (the Pod's grace period in seconds).
# Every name here starts with cijob_: a variable that the user set too would reach the script with our value.
set -u
exec 2>&1 # one stream: what a command says on both stays in order in the log

cijob_root=${CIJOB_ROOT:-/.cijob}
cijob_log=${CIJOB_TERMINATION_LOG:-/dev/termination-log}
cijob_cgroup=${CIJOB_CGROUP:-/sys/fs/cgroup}
cijob_grace=${CIJOB_GRACE:-60}
cijob_phase=daemon cijob_part=daemon cijob_entry=0 cijob_daemon=none cijob_mark=''
cijob_signal='' cijob_cause='' cijob_woken='' cijob_timer='' cijob_pid='' cijob_trouble='' cijob_held=1

say() { printf 'cijob: %s\n' "$*"; }

first_line() { # first_line FILE: in cijob_line; fails, and leaves it empty, where there is none
    cijob_line=''
    { IFS= read -r cijob_line <"$1"; } 2>/dev/null || [ -n "$cijob_line" ]
}

# --- process groups -----------------------------------------------------------------------------------------------------

set -m 2>/dev/null
case $- in
*m*) cijob_groups=monitor ;;
*)
    # Without a terminal only bash has `set -m`. It is better than setsid: what dash and BusyBox start in the background
    # ignores SIGINT, and so would all that the script starts.
    if [ $# -eq 0 ] && bash -p -c : 2>/dev/null; then exec bash -p "$0" again; fi
    cijob_groups=none
    ! command -v setsid >/dev/null 2>&1 || cijob_groups=setsid
    ;;
esac
set +m

start() { # start COMMAND...: in a process group of its own; its PID is in cijob_pid
    case $cijob_groups in
    monitor)
        set -m
        "$@" </dev/null &
        set +m
        ;;
    setsid) setsid "$@" </dev/null & ;;
    *) "$@" </dev/null & ;;
    esac
    cijob_pid=$!
}

signal_group() { # signal_group SIGNAL PID
    # What has just been forked and is not setsid yet still has our traps, and would lose the signal.
    cijob_wait=100
    while [ "$cijob_groups" = setsid ] && [ "$cijob_wait" -gt 0 ] && ! kill -0 "-$2" && kill -0 "$2"; do
        cijob_wait=$((cijob_wait - 1))
        sleep 0.01 || cijob_wait=0
    done 2>/dev/null
    # The one form that dash, bash and BusyBox share: without -s, without --.
    if kill "-$1" "-$2" 2>/dev/null; then return; fi
    kill "-$1" "$2" 2>/dev/null || :
    # No group could be made: PID 1 can still reach everything in the container.
    if [ "$cijob_groups" = none ] && [ $$ -eq 1 ]; then kill "-$1" -1 2>/dev/null || :; fi
}

wait_for() { # wait_for PID: gives its exit code; a signal to us ends `wait` early, and its trap sets cijob_woken
    cijob_code=0
    wait "$1" 2>/dev/null || cijob_code=$?
    while [ -n "$cijob_woken" ]; do
        cijob_woken=
        cijob_again=0
        wait "$1" 2>/dev/null || cijob_again=$?
        [ "$cijob_again" -eq 127 ] || cijob_code=$cijob_again # 127: it had been waited for
    done
    return "$cijob_code"
}

end_leftovers() { # end_leftovers PID: what the script left running in its group gets 2 s to end
    cijob_tries=40
    signal_group TERM "$1"
    while [ "$cijob_tries" -gt 0 ] && kill -0 "-$1" 2>/dev/null; do
        cijob_tries=$((cijob_tries - 1))
        sleep 0.05 2>/dev/null || cijob_tries=0
    done
    kill -KILL "-$1" 2>/dev/null || :
}

# --- signals ------------------------------------------------------------------------------------------------------------

start_timer() { # start_timer SECONDS SIGNAL [SECONDS SIGNAL]...: sends us each signal after its seconds
    # In a subshell: a trap may run this between any two commands of ours, and must change neither $! nor cijob_pid.
    # shellcheck disable=SC2016 # the new shell expands it
    cijob_timer="$cijob_timer $(
        start sh -c 'to=$1; shift; while [ $# -gt 0 ]; do sleep "$1" && kill "-$2" "$to" || exit; shift 2; done' \
            cijob $$ "$@" >/dev/null
        echo "$cijob_pid"
    )"
}

stop_timers() {
    for cijob_one in $cijob_timer; do signal_group KILL "$cijob_one"; done
    cijob_timer=
}

# shellcheck disable=SC2329 # the traps below call it, and the next two
on_signal() { # on_signal SIGNAL
    cijob_woken=1
    case $cijob_phase in
    script) signal_group "$1" "$cijob_pid" ;;
    after) ! cancelled_at_once || signal_group TERM "$cijob_pid" ;;
    esac
    [ -z "$cijob_signal" ] || return 0
    cijob_signal=$1
    case $cijob_phase in daemon | script) cijob_cause=\"$1\" ;; esac # no later one is what ended the script
    # The rest of the grace period belongs to the after script, and the last quarter to the Docker daemon.
    start_timer $((cijob_grace / 2)) ALRM $((cijob_grace / 4)) USR1
}

# shellcheck disable=SC2329
on_script_limit() {
    cijob_woken=1
    [ "$cijob_phase" = script ] || return 0
    say "the script was still running $((cijob_grace / 2)) s after SIG$cijob_signal: killed"
    signal_group KILL "$cijob_pid"
}

# shellcheck disable=SC2329
on_after_limit() {
    cijob_woken=1
    [ -z "$cijob_signal" ] || cijob_held='' # without a signal it is afterScript's own limit
    [ "$cijob_phase" = after ] || return 0
    say "afterScript took too long (it has ${CIJOB_AFTER_TIMEOUT:-300} s, less when the job is being stopped): killed"
    signal_group KILL "$cijob_pid"
}

cancelled_at_once() { first_line "$cijob_root/launcher/cancel" && [ "$cijob_line" = Immediate ]; }

# --- the parts ----------------------------------------------------------------------------------------------------------

finish() { # finish CODE
    trap '' TERM INT ALRM USR1
    stop_timers
    if [ -n "$cijob_mark" ]; then
        first_line "$cijob_root/daemon/ready" && [ "$cijob_line" = "$cijob_mark" ] || cijob_daemon=lost
    fi
    first_line "$cijob_cgroup/memory.peak" || first_line "$cijob_cgroup/memory/memory.max_usage_in_bytes" || :
    case ${cijob_line:-x} in *[!0-9]*) cijob_line=null ;; esac
    { printf '{"exitCode":%d,"part":"%s","entry":%d,"signal":%s,"daemon":"%s","peakMemory":%s%s}\n' "$1" "$cijob_part" \
        "$cijob_entry" "${cijob_cause:-null}" "$cijob_daemon" "$cijob_line" "$cijob_trouble" >"$cijob_log"; } 2>/dev/null || :
    exit "$1"
}

pause() { # pause HINT: for one step of 50 ms, or for as many as cijob_steps says
    cijob_steps=1
    if sleep 0.05 2>/dev/null; then return; fi
    cijob_steps=20 # a userland without fractions
    if sleep 1 2>/dev/null || [ -n "$cijob_signal" ]; then return; fi
    say "the image has no sleep command on its PATH ($PATH): add coreutils or BusyBox, or $1"
    finish 127
}

wait_for_daemon() {
    cijob_total=$((${CIJOB_START_TIMEOUT:-60} * 20))
    cijob_left=$cijob_total
    until [ -e "$cijob_root/daemon/ready" ]; do
        [ -z "$cijob_signal" ] || finish 143
        if [ "$cijob_left" -le 0 ]; then
            say "the Docker daemon was not ready after ${CIJOB_START_TIMEOUT:-60} s: see the log of the container dind"
            cijob_daemon=timeout
            finish 125
        fi
        [ $((cijob_total - cijob_left)) -ne 100 ] || say "waiting for the Docker daemon..."
        pause "set docker.enabled: false"
        cijob_left=$((cijob_left - cijob_steps))
    done
    cijob_daemon=ready
    first_line "$cijob_root/daemon/ready" && cijob_mark=$cijob_line
    cijob_link=${CIJOB_SOCKET_LINK:-/var/run/docker.sock}
    # For tools that know only Docker's own path. The image may forbid it, or have something there.
    [ -e "$cijob_link" ] || ln -s "$cijob_root/daemon/docker.sock" "$cijob_link" 2>/dev/null || :
    give_builders_their_mirrors
}

give_builders_their_mirrors() { # buildx starts builders with the settings in this file of the user's, if it is there
    [ -e "$cijob_root/launcher/buildkitd.toml" ] || return 0
    cijob_link=${BUILDX_CONFIG:-${DOCKER_CONFIG:-${HOME:-}/.docker}/buildx}/buildkitd.default.toml
    [ -e "$cijob_link" ] || { mkdir -p "${cijob_link%/*}" && cat "$cijob_root/launcher/buildkitd.toml" >"$cijob_link"; } || :
} 2>/dev/null

take_files() { # what others left for the job: the checkout its commit, a Secret a configuration that docker may change
    if first_line "$cijob_root/run/commit"; then export CIJOB_GIT_COMMIT="$cijob_line"; fi
    [ ! -e "$cijob_root/docker-secret/config.json" ] ||
        (umask 077 && cat "$cijob_root/docker-secret/config.json" >"$cijob_root/docker-config/config.json")
    # Here and not later: the seconds that services may take count from now.
    # shellcheck source=operator/cijob/launcher/services.sh
    [ ! -e "$cijob_root/launcher/services.sh" ] || . "$cijob_root/launcher/services.sh"
}

choose_shell() {
    cijob_shell='sh'
    case ${CIJOB_SHELL:-Auto} in
    bash) cijob_shell=bash ;;
    Auto) ! bash -c : 2>/dev/null || cijob_shell=bash ;;
    esac
    command -v "$cijob_shell" >/dev/null 2>&1 && return
    cijob_part=script
    say "the image has no $cijob_shell: leave spec.shell out (or write shell: sh), or use an image with $cijob_shell"
    finish 127
}

run_script() { # gives its exit code
    [ -z "$cijob_signal" ] || finish 143
    cijob_phase=script cijob_part=script cijob_result=0
    start "$cijob_shell" "$cijob_root/launcher/prelude.sh" script
    [ -z "$cijob_signal" ] || signal_group "$cijob_signal" "$cijob_pid" # it came while we started
    wait_for "$cijob_pid" || cijob_result=$?
    cijob_phase=between
    end_leftovers "$cijob_pid"
    # The script may have written there: only what can be ours counts.
    { read -r cijob_line cijob_number <"$cijob_root/run/entry"; } 2>/dev/null || return "$cijob_result"
    case $cijob_number in '' | 0* | *[!0-9]* | ??????*) return "$cijob_result" ;; esac
    case $cijob_line in before | script) cijob_part=$cijob_line cijob_entry=$cijob_number ;; esac
    return "$cijob_result"
}

ask_daemon() { # what dind.sh knows about a failure, for the report: containers killed for memory, a full disk
    [ "$cijob_daemon" = ready ] && [ -z "$cijob_signal" ] && [ -p "$cijob_root/daemon/ask" ] || return 0
    # <> does not wait for a reader, which may just have died
    { echo "$cijob_mark" >&9; } 9<>"$cijob_root/daemon/ask" || return 0
    cijob_tries=100
    while [ "$cijob_tries" -gt 0 ] && [ -z "$cijob_signal" ]; do
        { read -r cijob_line && read -r cijob_trouble; } <"$cijob_root/daemon/answer" && [ "$cijob_line" = "$cijob_mark" ] && break
        cijob_trouble='' cijob_tries=$((cijob_tries - 1))
        sleep 0.05 || cijob_tries=0
    done
    [ -z "$cijob_trouble" ] || cijob_trouble=,$cijob_trouble
} 2>/dev/null

run_after() { # run_after CODE: in a shell of its own, after every end; what it does changes nothing
    [ -s "$cijob_root/launcher/after" ] || return 0
    ! cancelled_at_once || return 0
    CIJOB_STATUS=failed CIJOB_EXIT_CODE=$1
    [ "$1" -ne 0 ] || CIJOB_STATUS=success
    [ -z "$cijob_signal" ] || CIJOB_STATUS=canceled
    export CIJOB_STATUS CIJOB_EXIT_CODE
    cijob_phase=after
    start "$cijob_shell" "$cijob_root/launcher/prelude.sh" after
    [ -z "$cijob_signal" ] || ! cancelled_at_once || signal_group TERM "$cijob_pid" # it came while we started
    start_timer "${CIJOB_AFTER_TIMEOUT:-300}" USR1
    wait_for "$cijob_pid" || say "afterScript ended with $cijob_code: that does not change the job's outcome"
    cijob_phase=between
    kill -KILL "-$cijob_pid" 2>/dev/null || :
    hold_files
}

hold_files() { # where `cijob run` asked for it in an entry: until it has taken artifacts and caches, for a bounded time
    { read -r cijob_token cijob_limit cijob_when <"$cijob_root/run/hold"; } 2>/dev/null || return 0
    case $cijob_token:$cijob_limit in *[!A-Za-z0-9:-]* | *:*:* | *:0* | *:*[!0-9]* | *: | *:????*) return 0 ;; esac
    case $cijob_when:$CIJOB_STATUS in
    on_success:success | on_failure:failed | always:success | always:failed) ;;
    *) return 0 ;;
    esac
    say "files wait up to $cijob_limit s for \"cijob run\" ($cijob_token, $CIJOB_STATUS)"
    IFS=' .' read -r cijob_began cijob_line </proc/uptime
    while [ -n "$cijob_held" ] && [ ! -e "$cijob_root/run/$cijob_token.taken" ]; do
        IFS=' .' read -r cijob_now cijob_line </proc/uptime
        if [ $((cijob_now - cijob_began)) -ge "$cijob_limit" ]; then
            say "nobody took the files within $cijob_limit s: was \"cijob run\" ended?"
            cijob_held=''
        elif [ -n "$cijob_signal" ] && cancelled_at_once; then
            cijob_held=''
        fi
        sleep 0.1 2>/dev/null || sleep 1 2>/dev/null || [ -n "$cijob_signal" ] || cijob_held='' # a signal may end sleep, too
    done
}

trap 'on_signal TERM' TERM
trap 'on_signal INT' INT
trap on_script_limit ALRM
trap on_after_limit USR1
choose_shell
take_files
[ "${CIJOB_DAEMON:-0}" != 1 ] || wait_for_daemon
[ ! -e "$cijob_root/launcher/services.sh" ] || wait_for_services
cijob_result=0
run_script || cijob_result=$?
[ "$cijob_result" -eq 0 ] || ask_daemon
run_after "$cijob_result"
finish "$cijob_result"
