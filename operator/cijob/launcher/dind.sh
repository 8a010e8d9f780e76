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
# shellcheck source=operator/cijob/launcher/diagnosis.sh
. "$root/launcher/diagnosis.sh"

# --- dockerd ------------------------------------------------------------------------------------------------------------

pod_mtu() { # MTU of the interface with the default route
    while read -r interface destination _; do
        if [ "$destination" = 00000000 ]; then
            { read -r bytes <"$net/$interface/mtu"; } 2>/dev/null && echo "$bytes"
            return
        fi
    done <"$routes"
}

address_pools() { # networks for Docker where its own choice may hide an address of the cluster's from the containers
    known="${CIJOB_POD_IP:-} ${CIJOB_HOST_IP:-} ${KUBERNETES_SERVICE_HOST:-} $(sed -n 's/^nameserver //p' "$resolv" 2>/dev/null)"
    near172='' near192='' near198=''
    for address in $known; do
        case $address in
        172.1[6-9].* | 172.2[0-9].* | 172.3[01].*) near172=1 ;;
        192.168.*) near192=1 ;;
        198.1[89].*) near198=1 ;;
        esac
    done
    if [ -z "$near172$near192" ]; then
        return # Docker's own
    elif [ -z "$near172" ]; then
        echo base=172.17.0.0/16,size=24 base=172.18.0.0/15,size=24 base=172.20.0.0/14,size=24
    elif [ -z "$near192" ]; then
        echo base=192.168.0.0/16,size=24
    elif [ -z "$near198" ]; then
        echo base=198.18.0.0/15,size=24 # for benchmarks of networks (RFC 2544): no cluster's
    fi
}

choose_iptables() { # the flavour that the node's kernel takes; without any, dockerd would end with a page of errors
    problem=$(iptables --wait --table nat --list --numeric 2>&1 >/dev/null) && return
    for program in /usr/local/sbin/.iptables-legacy/iptables iptables-legacy; do
        program=$(command -v "$program") || continue
        "$program" --wait --table nat --list --numeric >/dev/null 2>&1 || continue
        ln -sf "$program" "$run/bin/iptables"
        ! program=$(command -v "${program%/*}/ip6${program##*/ip}") || ln -sf "$program" "$run/bin/ip6tables"
        return
    done
    problem=$(printf %s "$problem" | tr -c '[:alnum:] .,:;()/_-' ' ')
    fail "iptables works in neither flavour, nft or legacy: load the kernel modules nf_tables or ip_tables, iptable_nat and iptable_filter on the node. It said: $problem"
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

rm -f "$mark" "$mark.new" "$socket" "$system" "${system%.sock}.pid"
mkdir -p "$run/bin"
command -v dockerd >/dev/null || fail "the image has no dockerd on its PATH: docker.io/library/docker:dind is such an image"
command -v docker >/dev/null || fail "the image has no docker command on its PATH: nothing could tell when the daemon is ready"
choose_iptables
enter_cgroup
PATH=$run/bin:$PATH # what stands there comes before the image's own

mtu=${CIJOB_MTU:-$(pod_mtu)}
address=${CIJOB_PUBLISH_ADDRESS:-127.0.0.1}
set -- dockerd "--host=unix://$system" "--host=unix://$socket" "--ip=$address" \
    "--default-network-opt=bridge=com.docker.network.bridge.host_binding_ipv4=$address" "--default-ulimit=$(nofile)"
# Without --tls=false dockerd would wait 15 s before it opens a plain port.
[ "${CIJOB_ENDPOINT:-TCP}" = Unix ] || set -- "$@" --host=tcp://127.0.0.1:2375 --tls=false
[ -z "$mtu" ] || set -- "$@" "--mtu=$mtu" "--default-network-opt=bridge=com.docker.network.driver.mtu=$mtu"
[ -z "$parent" ] || set -- "$@" "--cgroup-parent=$parent"
# In a Pod without an IPv6 address of its own (scope 00) the rules for it guard nothing, and cost a quarter of a second.
grep -q '^[^ ]* [^ ]* [^ ]* 00 ' "$ipv6" 2>/dev/null || set -- "$@" --ip6tables=false
set -f
for word in ${CIJOB_REGISTRY_MIRRORS:-}; do set -- "$@" "--registry-mirror=$word"; done
for word in ${CIJOB_INSECURE_REGISTRIES:-}; do set -- "$@" "--insecure-registry=$word"; done
for word in ${CIJOB_ADDRESS_POOLS:-$(address_pools)}; do set -- "$@" "--default-address-pool=$word"; done
# With `dockerd` named the entry point adds no --host of its own.
if command -v dockerd-entrypoint.sh >/dev/null; then
    set -- dockerd-entrypoint.sh "$@"
elif command -v docker-init >/dev/null; then
    set -- docker-init -- "$@"
fi
export TINI_SUBREAPER=1 # docker-init is not PID 1 here
export DOCKER_MIN_API_VERSION=1.40 # Docker 29.0 to 29.2 would refuse the clients of Debian 12

# Steps of a build have no --default-ulimit: they inherit what dockerd was started with. For itself dockerd raises it again.
# shellcheck disable=SC3045 # dash, bash and BusyBox know -S
ulimit -S -n 1024 2>/dev/null || :
trap on_signal TERM INT
$enter "$@" &
child=$!
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
