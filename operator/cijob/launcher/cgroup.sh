#!/bin/sh
# shellcheck disable=SC2154,SC2034 # dind.sh sets cgroup, groups, root, run and reserve, and reads what is set here
# Sourced by dind.sh: keeps inner containers inside the sidecar's limits, on cgroup v1 and v2.
#
# They run below our own group, so that the Pod's limits and metrics hold, in one child group whose memory limit lies below
# ours: the kernel then kills the container that takes too much, and never the daemon.
# Sets: inner (that child group), peak and innerpeak (files), parent (for --cgroup-parent), enter (a command before dockerd).

enter_cgroup() {
    # Where the kernel has to choose after all, size decides: the kubelet's score would make dockerd the victim, inner
    # containers have 0. Only a node that lets us lower it does so.
    { echo 0 >/proc/self/oom_score_adj; } 2>/dev/null || :
    if [ -f "$cgroup/cgroup.controllers" ]; then enter_v2; else enter_v1; fi
}

limit_inner() { # limit_inner FILE LIMIT: the child group's limit, a reserve below what holds for us
    case $2 in '' | *[!0-9]* | ????????????????*) return 0 ;; esac # "max"; v1 writes none as a number near 2^63
    if [ $(($2 - reserve)) -lt 33554432 ]; then
        say "the memory limit of $(($2 / 1048576)) MiB is too small: Docker itself needs $((reserve / 1048576)) MiB, and an" \
            "inner container that takes the rest may take the daemon down. Set spec.docker.resources.limits.memory to" \
            "$((reserve / 1048576 + 128))Mi or more."
        return 0
    fi
    { echo $(($2 - reserve)) >"$inner/$1"; } 2>/dev/null || say "cannot limit the memory of the inner containers"
}

# --- v1 -----------------------------------------------------------------------------------------------------------------

enter_v1() {
    # runc shows a container only its own groups here, so that Docker's /docker is below them without any flag.
    inner=$cgroup/memory/docker
    peak=$cgroup/memory/memory.max_usage_in_bytes innerpeak=$inner/memory.max_usage_in_bytes
    # The hierarchical limit is the lowest of ours and of the groups above, which are out of our sight: a limit of the Pod's.
    limit=$(sed -n 's/^hierarchical_memory_limit //p' "$cgroup/memory/memory.stat" 2>/dev/null)
    mkdir -p "$inner" 2>/dev/null && limit_inner memory.limit_in_bytes "$limit"
    quota='' period=''
    { read -r quota <"$cgroup/cpu/cpu.cfs_quota_us" && read -r period <"$cgroup/cpu/cpu.cfs_period_us"; } 2>/dev/null || :
    wrap_runc "$cgroup/cpu" "$quota" "$period"
}

# --- v2 -----------------------------------------------------------------------------------------------------------------

enter_v2() {
    # A privileged container of the kubelet sees the node's whole tree; Docker's own /docker would lie at its root.
    path=$(sed -n 's/^0:://p' "$groups")
    [ "$path" != / ] || path=''
    own=$cgroup$path inner=$cgroup$path/docker
    limit=$(lowest_limit) quota=max period=''
    { read -r quota period <"$own/cpu.max"; } 2>/dev/null || :
    # A namespace rooted at our group, made before we leave it for a leaf. BusyBox's unshare cannot: --cgroup-parent then.
    if [ -n "$path" ]; then
        : >"$run/cgroup"
        if unshare --cgroup="$run/cgroup" true 2>/dev/null; then enter="nsenter --cgroup=$run/cgroup"; else parent=$path/docker; fi
    fi
    if ! { mkdir -p "$own/init" "$inner" && hand_down "$own" && delegate "$inner"; } 2>/dev/null; then
        say "cannot hand the cgroup controllers down: limits of inner containers may not hold"
    fi
    limit_inner memory.max "$limit"
    { echo 0 >"$own/memory.oom.group"; } 2>/dev/null || : # the kubelet sets it, so that one death would be everybody's
    [ -z "$enter" ] || show_own_cgroup
    peak=$own/memory.peak innerpeak=$inner/memory.peak
    wrap_runc "${inner%/docker}" "$quota" "$period"
    hide_wrappers
}

lowest_limit() { # the lowest memory.max of our own group and those above it: the Pod may have one, the node too
    group=$own lowest=''
    while :; do
        bytes=max
        { read -r bytes <"$group/memory.max"; } 2>/dev/null || :
        case $bytes in '' | *[!0-9]*) ;; *) [ -n "$lowest" ] && [ "$lowest" -le "$bytes" ] || lowest=$bytes ;; esac
        [ "$group" != "$cgroup" ] || break
        group=${group%/*}
    done
    echo "$lowest"
}

show_own_cgroup() { # mounts the namespace's view in place of the node's; on top of that the kernel would refuse it
    options=$(sed -n "s|^[^ ]* $cgroup cgroup2 \([^ ]*\) .*|\1|p" /proc/self/mounts | tail -n 1)
    if umount "$cgroup" 2>/dev/null; then
        $enter mount -t cgroup2 -o "${options:-rw}" cgroup2 "$cgroup" || fail "cannot mount this container's own cgroup"
        own=$cgroup inner=$cgroup/docker
    else
        enter='' parent=$path/docker
    fi
}

delegate() { # delegate GROUP: all its controllers to its children; by `echo`, since BusyBox's sed hides a failed write
    read -r controllers <"$1/cgroup.controllers" || return
    words=''
    for controller in $controllers; do words="$words +$controller"; done
    echo "$words" >"$1/cgroup.subtree_control"
}

hand_down() { # only a group without processes can hand its controllers down, and new ones may come while they are moved
    tries=100
    until {
        while read -r pid; do echo "$pid" >"$1/init/cgroup.procs"; done <"$1/cgroup.procs"
        delegate "$1"
    } 2>/dev/null; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
    done
}

hide_wrappers() {
    # The image's entry point may make a namespace by itself, at the leaf: its containers would miss the limit above.
    printf '#!/bin/sh\nexit 1\n' >"$run/bin/unshare"
    chmod 755 "$run/bin/unshare"
    [ -n "$parent" ] || return 0
    # The image's `dind` wrapper would move all processes at the node's root. What else dockerd needs of it is done here.
    [ ! -e /usr/local/bin/dind ] || mount --bind /dev/null /usr/local/bin/dind || say "cannot hide the dind wrapper"
    mount --make-rshared / 2>/dev/null || say "cannot share mounts: volumes with mount propagation will not work"
    export container=docker
}

# --- runc ---------------------------------------------------------------------------------------------------------------

wrap_runc() { # wrap_runc GROUPS QUOTA PERIOD: the wrapper of runc.sh, with what it needs to know
    runc=$(command -v runc) || return 0
    case $2 in '' | *[!0-9]*) set -- "$1" '' '' ;; esac # "max" and -1: no limit
    {
        printf '#!/bin/sh\nrunc=%s groups='\''%s'\'' parent='\''%s'\'' quota=%s period=%s\n' "$runc" "$1" "${parent:-/docker}" "$2" "$3"
        cat "$root/launcher/runc.sh"
    } >"$run/bin/runc" && chmod 755 "$run/bin/runc"
}
