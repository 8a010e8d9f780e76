#!/bin/sh
# PID 1 of the sidecar: starts dockerd in a cgroup below our own, marks when it answers, and ends with it.
# POSIX sh: dash, bash and BusyBox ash run it.
#
# Environment: CIJOB_ENDPOINT (TCP, Unix), CIJOB_PUBLISH_ADDRESS (where published ports listen), CIJOB_MTU (empty: the
# Pod's), CIJOB_REGISTRY_MIRRORS, CIJOB_INSECURE_REGISTRIES, CIJOB_ADDRESS_POOLS, CIJOB_MEMORY_RESERVE (bytes).
set -u

root=${CIJOB_ROOT:-/.cijob}
cgroup=${CIJOB_CGROUP:-/sys/fs/cgroup}
log=${CIJOB_TERMINATION_LOG:-/dev/termination-log}
run=${CIJOB_RUN:-/run/cijob}
system=${CIJOB_SYSTEM_SOCKET:-/var/run/docker.sock}
net=${CIJOB_NET:-/sys/class/net}
routes=${CIJOB_ROUTES:-/proc/net/route}
groups=${CIJOB_GROUPS:-/proc/self/cgroup}
socket=$root/daemon/docker.sock
mark=$root/daemon/ready
answered=$root/daemon/answered # outlives a restart of this container: whether the job ever had a daemon
reserve=${CIJOB_MEMORY_RESERVE:-134217728}
own='' inner='' parent='' enter='' peak='' woken='' child='' watcher=''

say() { printf 'cijob: %s\n' "$*" >&2; }

report() { # report CODE MESSAGE: what the operator reads once this container has ended
    ready=false
    [ ! -e "$answered" ] || ready=true
    rm -f "$mark"
    bytes=null
    { read -r bytes <"$peak"; } 2>/dev/null || bytes=null
    { printf '{"ready":%s,"message":"%s","exitCode":%d,"peakMemory":%s}\n' "$ready" "$2" "$1" "$bytes" >"$log"; } \
        2>/dev/null || :
}

fail() { # fail MESSAGE
    say "$1"
    report 1 "$1"
    exit 1
}

# --- cgroup -------------------------------------------------------------------------------------------------------------
# Inner containers run below our own group, so that the Pod's limits and metrics hold, in one child group whose memory
# limit lies below ours: the kernel then kills the container that takes too much, and never the daemon.

limit_inner() { # limit_inner LIMIT_FILE: sets the child group's limit, where we have one ourselves
    { read -r limit <"$own/$1"; } 2>/dev/null || return 0
    case $limit in max | *[!0-9]* | ????????????????*) return 0 ;; esac # v1 writes "none" as a number near 2^63
    if [ "$limit" -le $((reserve * 2)) ]; then
        say "the memory limit of $limit bytes is too small to keep $((reserve / 1048576)) MiB of it for the daemon:" \
            "an inner container that takes all of it may take the daemon down. Set spec.docker.resources.limits.memory" \
            "above $((reserve * 2 / 1048576))Mi."
        return 0
    fi
    { echo $((limit - reserve)) >"$inner/$1"; } 2>/dev/null || say "cannot limit the memory of the inner containers"
}

enter_v1() {
    # runc shows a container only its own groups here, so that Docker's /docker is below them without any flag.
    own=$cgroup/memory inner=$cgroup/memory/docker peak=$own/memory.max_usage_in_bytes
    mkdir -p "$inner" 2>/dev/null && limit_inner memory.limit_in_bytes
}

enter_v2() {
    # A privileged container of the kubelet sees the node's whole tree; Docker's own /docker would lie at its root.
    path=$(sed -n 's/^0:://p' "$groups")
    [ "$path" != / ] || path=''
    own=$cgroup$path inner=$cgroup$path/docker peak=$own/memory.peak
    mkdir -p "$run"
    # A namespace rooted at our group, made before we leave it for a leaf. BusyBox's unshare cannot: --cgroup-parent then.
    if [ -n "$path" ]; then
        : >"$run/cgroup"
        if unshare --cgroup="$run/cgroup" true 2>/dev/null; then enter="nsenter --cgroup=$run/cgroup"; else parent=$path/docker; fi
    fi
    if ! { mkdir -p "$own/init" "$inner" && hand_down; } 2>/dev/null; then
        say "cannot hand the cgroup controllers down: limits of inner containers may not hold"
    fi
    limit_inner memory.max
    [ -z "$enter" ] || show_own_cgroup
    [ -z "$path" ] || hide_wrappers
}

show_own_cgroup() { # mounts the namespace's view in place of the node's; on top of that the kernel would refuse it
    options=$(sed -n "s|^[^ ]* $cgroup cgroup2 \([^ ]*\) .*|\1|p" /proc/self/mounts | tail -n 1)
    if umount "$cgroup" 2>/dev/null; then
        $enter mount -t cgroup2 -o "${options:-rw}" cgroup2 "$cgroup" || fail "cannot mount this container's own cgroup"
        own=$cgroup inner=$cgroup/docker peak=$cgroup/memory.peak
    else
        enter='' parent=$path/docker
    fi
}

hand_down() { # only a group without processes can hand its controllers down, and new ones may come while they are moved
    tries=100
    until {
        while read -r pid; do echo "$pid" >"$own/init/cgroup.procs"; done <"$own/cgroup.procs"
        sed -e 's/ / +/g' -e 's/^/+/' "$own/cgroup.controllers" >"$own/cgroup.subtree_control"
    } 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
    done
}

hide_wrappers() {
    # The image's entry point may make a namespace by itself, at the leaf: its containers would miss the limit above.
    mkdir -p "$run/bin"
    printf '#!/bin/sh\nexit 1\n' >"$run/bin/unshare"
    chmod 755 "$run/bin/unshare"
    PATH=$run/bin:$PATH
    [ -n "$parent" ] || return 0
    # The image's `dind` wrapper would move all processes at the node's root. What else it does is done here.
    [ ! -e /usr/local/bin/dind ] || mount --bind /dev/null /usr/local/bin/dind || say "cannot hide the dind wrapper"
    mount --make-rshared / 2>/dev/null || say "cannot share mounts: volumes with mount propagation will not work"
    export container=docker
}

# --- dockerd ------------------------------------------------------------------------------------------------------------

pod_mtu() { # MTU of the interface with the default route
    while read -r interface destination _; do
        if [ "$destination" = 00000000 ]; then
            { read -r bytes <"$net/$interface/mtu"; } 2>/dev/null && echo "$bytes"
            return
        fi
    done <"$routes"
}

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
    until [ -S "$socket" ] && docker --host "unix://$socket" version >/dev/null 2>&1; do
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

rm -f "$mark" "$mark.new" "$socket" "$system" "${system%.sock}.pid"
command -v dockerd >/dev/null || fail "the image has no dockerd on its PATH: docker.io/library/docker:dind is such an image"
command -v docker >/dev/null || fail "the image has no docker command on its PATH: nothing could tell when the daemon is ready"
if [ -f "$cgroup/cgroup.controllers" ]; then enter_v2; else enter_v1; fi

mtu=${CIJOB_MTU:-$(pod_mtu)}
address=${CIJOB_PUBLISH_ADDRESS:-127.0.0.1}
set -- dockerd "--host=unix://$system" "--host=unix://$socket" "--ip=$address" \
    "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=$address" "--default-ulimit=$(nofile)"
# Without --tls=false dockerd would wait 15 s before it opens a plain port.
[ "${CIJOB_ENDPOINT:-TCP}" = Unix ] || set -- "$@" --host=tcp://127.0.0.1:2375 --tls=false
[ -z "$mtu" ] || set -- "$@" "--mtu=$mtu" "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu"
[ -z "$parent" ] || set -- "$@" "--cgroup-parent=$parent"
set -f
for word in ${CIJOB_REGISTRY_MIRRORS:-}; do set -- "$@" "--registry-mirror=$word"; done
for word in ${CIJOB_INSECURE_REGISTRIES:-}; do set -- "$@" "--insecure-registry=$word"; done
for word in ${CIJOB_ADDRESS_POOLS:-}; do set -- "$@" "--default-address-pool=$word"; done
# The entry point picks the flavour of iptables. With `dockerd` named it adds no --host of its own.
if command -v dockerd-entrypoint.sh >/dev/null; then
    set -- dockerd-entrypoint.sh "$@"
elif command -v docker-init >/dev/null; then
    set -- docker-init -- "$@"
fi
export TINI_SUBREAPER=1 # docker-init is not PID 1 here

trap on_signal TERM INT
$enter "$@" &
child=$!
[ -z "$woken" ] || kill -TERM "$child"
mark_when_ready &
watcher=$!
wait_for_child
kill "$watcher" 2>/dev/null
report "$code" "dockerd ended with $code."
say "dockerd ended with $code"
exit "$code"
