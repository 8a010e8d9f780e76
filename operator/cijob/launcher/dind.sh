#!/bin/sh
# PID 1 of the sidecar: starts dockerd in a cgroup below our own, marks when it answers, and ends with it.
# POSIX sh: dash, bash and BusyBox ash run it.
#
# Environment: CIJOB_ENDPOINT (TCP, Unix), CIJOB_PUBLISH_ADDRESS (where published ports listen), CIJOB_MTU (empty: the
# Pod's), CIJOB_REGISTRY_MIRRORS, CIJOB_INSECURE_REGISTRIES, CIJOB_ADDRESS_POOLS (empty: what the cluster does not use),
# CIJOB_POD_IP and CIJOB_HOST_IP, CIJOB_MEMORY_RESERVE (bytes), CIJOB_DIAGNOSE (Asked: for job.sh; End: in our own report).
set -u

root=${CIJOB_ROOT:-/.cijob}
cgroup=${CIJOB_CGROUP:-/sys/fs/cgroup}
log=${CIJOB_TERMINATION_LOG:-/dev/termination-log}
run=${CIJOB_RUN:-/run/cijob}
system=${CIJOB_SYSTEM_SOCKET:-/var/run/docker.sock}
net=${CIJOB_NET:-/sys/class/net}
routes=${CIJOB_ROUTES:-/proc/net/route}
groups=${CIJOB_GROUPS:-/proc/self/cgroup}
resolv=${CIJOB_RESOLV:-/etc/resolv.conf}
ipv6=${CIJOB_IPV6:-/proc/net/if_inet6}
data=${CIJOB_DATA:-/var/lib/docker}
socket=$root/daemon/docker.sock
mark=$root/daemon/ready
answered=$root/daemon/answered # outlives a restart of this container: whether the job ever had a daemon
reserve=${CIJOB_MEMORY_RESERVE:-134217728}
inner='' parent='' enter='' peak='' innerpeak='' trouble='' woken='' child='' watcher='' answerer=''

say() { printf 'cijob: %s\n' "$*" >&2; }

report() { # report CODE MESSAGE: what the operator reads once this container has ended
    ready=false
    [ ! -e "$answered" ] || ready=true
    rm -f "$mark"
    { printf '{"ready":%s,"message":"%s","exitCode":%d,"peakMemory":%s,"innerPeakMemory":%s%s}\n' "$ready" "$2" "$1" \
        "$(number "$peak")" "$(number "$innerpeak")" "${trouble:+,$trouble}" >"$log"; } 2>/dev/null || :
}

number() { # number FILE: the number in it, null if there is none
    bytes=''
    { read -r bytes <"$1"; } 2>/dev/null || :
    case $bytes in '' | *[!0-9]*) echo null ;; *) echo "$bytes" ;; esac
}

fail() { # fail MESSAGE: one line without quotes
    say "$1"
    report 1 "$1"
    exit 1
}

# shellcheck source=operator/cijob/launcher/cgroup.sh
. "$root/launcher/cgroup.sh"
# shellcheck source=operator/cijob/launcher/network.sh
. "$root/launcher/network.sh"
# shellcheck source=operator/cijob/launcher/diagnosis.sh
. "$root/launcher/diagnosis.sh"

nofile() { # what Docker gives on a host (1024, 524288), as far as the node allows: above its limit nothing would start
    # shellcheck disable=SC3045 # dash, bash and BusyBox know -H
    hard=$(ulimit -H -n)
    case $hard in *[!0-9]*) hard=524288 ;; esac
    [ "$hard" -le 524288 ] || hard=524288
    soft=1024
    [ "$soft" -le "$hard" ] || soft=$hard
    echo "nofile=$soft:$hard"
}

mark_when_ready() {
    # dockerd makes its sockets before it serves them: a request on one waits until it does, an answer is the proof.
    # `version` would make it start `runc --version` and the like.
    until [ -S "$socket" ] && docker --host "unix://$socket" ps --quiet >/dev/null 2>&1; do
        sleep 0.05 2>/dev/null || sleep 1 || return
    done
    chmod 666 "$socket" "$system" # before the mark: a job that is not root may start at once
    { read -r instance </proc/sys/kernel/random/uuid; } 2>/dev/null || instance=$(date +%s)-$$
    : >"$answered"
    echo "$instance" >"$mark.new" && mv "$mark.new" "$mark"
}

# shellcheck disable=SC2329 # the trap below calls it
on_signal() {
    woken=1
    [ "${CIJOB_DIAGNOSE:-}" != End ] || [ ! -e "$mark" ] || trouble=$(diagnose)
    [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :
}

wait_for_child() { # gives its exit code; a signal to us ends `wait` early, and its trap sets woken
    code=0
    wait "$child" 2>/dev/null || code=$?
    while [ -n "$woken" ]; do
        woken='' again=0
        wait "$child" 2>/dev/null || again=$?
        [ "$again" -eq 127 ] || code=$again # 127: it had been waited for
    done
}

start_dockerd() { # its PID is in child
    mtu=${CIJOB_MTU:-$(pod_mtu)}
    address=${CIJOB_PUBLISH_ADDRESS:-127.0.0.1}
    set -- dockerd "--host=unix://$system" "--host=unix://$socket" "--ip=$address" \
        "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=$address" "--default-ulimit=$(nofile)"
    # Without --tls=false dockerd would wait 15 s before it opens a plain port.
    [ "${CIJOB_ENDPOINT:-TCP}" = Unix ] || set -- "$@" --host=tcp://127.0.0.1:2375 --tls=false
    [ -z "$mtu" ] || set -- "$@" "--mtu=$mtu" "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu"
    [ -z "$parent" ] || set -- "$@" "--cgroup-parent=$parent"
    # In a Pod without an IPv6 address of its own (scope 00) the rules for it guard nothing, and take time.
    grep -q '^[^ ]* [^ ]* [^ ]* 00 ' "$ipv6" 2>/dev/null || set -- "$@" --ip6tables=false
    for word in ${CIJOB_REGISTRY_MIRRORS:-}; do set -- "$@" "--registry-mirror=$word"; done
    for word in ${CIJOB_INSECURE_REGISTRIES:-}; do set -- "$@" "--insecure-registry=$word"; done
    for word in ${CIJOB_ADDRESS_POOLS:-$(address_pools)}; do set -- "$@" "--default-address-pool=$word"; done
    # With `dockerd` named the entry point adds no --host of its own.
    if command -v dockerd-entrypoint.sh >/dev/null; then
        set -- dockerd-entrypoint.sh "$@"
    elif command -v docker-init >/dev/null; then
        set -- docker-init -- "$@"
    fi
    export TINI_SUBREAPER=1            # docker-init is not PID 1 here
    export DOCKER_MIN_API_VERSION=1.40 # Docker 29.0 to 29.2 would refuse the clients of Debian 12
    # Steps of a build have no --default-ulimit: they inherit what dockerd was started with. For itself dockerd raises it again.
    # shellcheck disable=SC3045 # dash, bash and BusyBox know -S
    ulimit -S -n 1024 2>/dev/null || :
    $enter "$@" &
    child=$!
}

main() {
    trap on_signal TERM INT # first of all: PID 1 would not even notice one
    set -f
    rm -f "$mark" "$mark.new" "$socket" "$system" "${system%.sock}.pid"
    mkdir -p "$run/bin"
    command -v dockerd >/dev/null || fail "the image has no dockerd on its PATH: docker.io/library/docker:dind is such an image"
    command -v docker >/dev/null || fail "the image has no docker command on its PATH: nothing could tell when the daemon is ready"
    choose_iptables
    enter_cgroup
    PATH=$run/bin:$PATH # what stands there comes before the image's own
    [ -z "$woken" ] || fail "stopped before dockerd was started"
    start_dockerd
    [ -z "$woken" ] || kill -TERM "$child"
    mark_when_ready &
    watcher=$!
    if [ "${CIJOB_DIAGNOSE:-Asked}" = Asked ]; then
        answer_questions &
        answerer=$!
    fi
    wait_for_child
    # shellcheck disable=SC2086 # none, one or two
    kill $watcher $answerer 2>/dev/null
    report "$code" "dockerd ended with $code."
    say "dockerd ended with $code"
    exit "$code"
}

main
