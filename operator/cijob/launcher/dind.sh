#!/bin/sh
# Starts dockerd in the sidecar, stays its parent, and marks when it is ready. POSIX sh: dash, bash and BusyBox run it.
#
# Environment: CIJOB_ENDPOINT (TCP, Unix), CIJOB_PUBLISH_ADDRESS, CIJOB_MTU (empty: the Pod's own),
# CIJOB_REGISTRY_MIRRORS, CIJOB_INSECURE_REGISTRIES, CIJOB_ADDRESS_POOLS, CIJOB_MEMORY_RESERVE (bytes).
set -u

root=${CIJOB_ROOT:-/.cijob}
cgroup=${CIJOB_CGROUP:-/sys/fs/cgroup}
log=${CIJOB_TERMINATION_LOG:-/dev/termination-log}
socket=$root/daemon/docker.sock
mark=$root/daemon/ready
ready=false

say() { printf 'cijob: %s\n' "$*" >&2; }

# What the operator reads when this container has ended: whether the daemon ever answered, and what is known of its end.
report() { # report MESSAGE
    printf '{"ready":%s,"message":"%s"}\n' "$ready" "$1" >"$log" 2>/dev/null || :
}

# --- cgroup: inner containers below our own, 128 Mi under our limit, so that an overrun kills them and not dockerd ------

limit_inner() { # limit_inner GROUP LIMIT_FILE
    limit=$(cat "$cgroup$1/$2" 2>/dev/null) || return 0
    reserve=${CIJOB_MEMORY_RESERVE:-134217728}
    # No limit: `max` on v2, a number near 2^63 on v1.
    case $limit in max | ????????????????*) return 0 ;; esac
    if [ "$limit" -le $((reserve * 2)) ]; then
        say "the memory limit of $limit bytes leaves inner containers too little: none of it is set aside for the daemon." \
            "Set spec.docker.resources.limits.memory above $((reserve * 2 / 1048576))Mi."
        return 0
    fi
    echo $((limit - reserve)) >"$cgroup$1/docker/$2" || say "cannot limit the inner containers' memory"
}

enter_cgroup_v1() {
    # runc shows a container only its own groups here: what dockerd makes is below them already.
    mkdir -p "$cgroup/memory/docker" && limit_inner /memory memory.limit_in_bytes
}

enter_cgroup_v2() {
    own=$(sed -n 's/^0:://p' /proc/self/cgroup)
    [ "$own" != / ] || own=
    mkdir -p "$cgroup$own/init" "$cgroup$own/docker" || return 0
    # Controllers can only be handed down from a group without processes; new ones may appear while they are moved.
    tries=0
    until {
        while read -r pid; do echo "$pid" >"$cgroup$own/init/cgroup.procs"; done <"$cgroup$own/cgroup.procs"
        sed -e 's/ / +/g' -e 's/^/+/' <"$cgroup$own/cgroup.controllers" >"$cgroup$own/cgroup.subtree_control"
    } 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { say "cannot hand cgroup controllers down; limits may not hold"; return 0; }
    done
    limit_inner "$own" memory.max
    [ -z "$own" ] || parent=$own/docker
}

# --- dockerd's flags --------------------------------------------------------------------------------------------------

pod_mtu() { # MTU of the interface with the default route
    while read -r interface destination _; do
        if [ "$destination" = 00000000 ]; then
            cat "/sys/class/net/$interface/mtu"
            return
        fi
    done </proc/net/route
}

mark_when_ready() { # mark_when_ready PID
    # A socket file is no proof: dockerd makes its listeners before it serves.
    until [ -S "$socket" ] && docker --host "unix://$socket" version >/dev/null 2>&1; do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.05 2>/dev/null || sleep 1
    done
    chmod 666 "$socket" /var/run/docker.sock
    cat /proc/sys/kernel/random/uuid >"$mark.new" && mv "$mark.new" "$mark"
    ready=true
}

rm -f "$mark" "$socket" /var/run/docker.pid
parent=
if [ -f "$cgroup/cgroup.controllers" ]; then enter_cgroup_v2; else enter_cgroup_v1; fi

mtu=${CIJOB_MTU:-$(pod_mtu)}
address=${CIJOB_PUBLISH_ADDRESS:-127.0.0.1}
set -- dockerd "--host=unix:///var/run/docker.sock" "--host=unix://$socket" "--ip=$address" \
    "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=$address"
[ "${CIJOB_ENDPOINT:-TCP}" = Unix ] || set -- "$@" --host=tcp://127.0.0.1:2375 --tls=false
[ -z "$mtu" ] || set -- "$@" "--mtu=$mtu" "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu"
[ -z "$parent" ] || set -- "$@" "--cgroup-parent=$parent"
for word in ${CIJOB_REGISTRY_MIRRORS:-}; do set -- "$@" "--registry-mirror=$word"; done
for word in ${CIJOB_INSECURE_REGISTRIES:-}; do set -- "$@" "--insecure-registry=$word"; done
for word in ${CIJOB_ADDRESS_POOLS:-}; do set -- "$@" "--default-address-pool=$word"; done
if command -v dockerd-entrypoint.sh >/dev/null; then set -- dockerd-entrypoint.sh "$@"; fi

"$@" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM INT
mark_when_ready "$child"
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do # a signal ends `wait` early
    code=0
    wait "$child" || code=$?
done
rm -f "$mark"
report "dockerd ended with $code."
exit "$code"
