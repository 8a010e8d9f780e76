#!/bin/sh
# Stand-in for the entry point of docker:dind. It does what a daemon's surroundings notice of the real one, in words of
# its own (read: docker-library/docker, 29/dind/dockerd-entrypoint.sh of August 2026). Left out: rootless.
set -eu

loads() { # loads MODULE...: as there, a module that cannot be loaded may be in the kernel, and is no error
    for module; do modprobe "$module" || :; done
}

has_legacy_rules() {
    for kind in ip ip6 arp; do
        { read -r table <"/proc/net/${kind}_tables_names" && [ -n "$table" ]; } 2>/dev/null && return
    done
    return 1
}

wants_legacy() { # whether the older program is to be used: told so, or its rules are there, or only it works
    if [ -n "${DOCKER_IPTABLES_LEGACY+x}" ]; then
        if [ -n "$DOCKER_IPTABLES_LEGACY" ]; then loads ip_tables ip6_tables; else loads nf_tables; fi
        [ -n "$DOCKER_IPTABLES_LEGACY" ]
        return
    fi
    has_legacy_rules && return
    iptables -nL >/dev/null 2>&1 && return 1
    loads nf_tables
    iptables -nL >/dev/null 2>&1 && return 1
    loads ip_tables ip6_tables
    /usr/local/sbin/.iptables-legacy/iptables -nL >/dev/null 2>&1
}

# No argument, or one that starts with a dash: the daemon listens for everyone, with certificates unless
# DOCKER_TLS_CERTDIR is empty. An explicit `dockerd ...` is taken as it is.
case ${1:--} in
    -*)
        case ${DOCKER_HOST:-} in unix://*) socket=$DOCKER_HOST ;; *) socket=unix:///var/run/docker.sock ;; esac
        if [ -n "${DOCKER_TLS_CERTDIR:-}" ]; then
            make-certificates "$DOCKER_TLS_CERTDIR"
            server=$DOCKER_TLS_CERTDIR/server
            set -- --host=tcp://0.0.0.0:2376 --tlsverify --tlscacert "$server/ca.pem" --tlscert "$server/cert.pem" \
                --tlskey "$server/key.pem" "$@"
        else
            set -- --host=tcp://0.0.0.0:2375 "$@"
        fi
        set -- dockerd "--host=$socket" "$@"
        ;;
esac
if [ "$1" = dockerd ]; then
    # what an unclean end left behind would keep dockerd from starting
    find /run /var/run -iname 'docker*.pid' -delete || :
    if wants_legacy; then export PATH="/usr/local/sbin/.iptables-legacy:$PATH"; fi
    iptables --version
    set -- docker-init -- "$@"
    [ ! -x /usr/local/bin/dind ] || set -- /usr/local/bin/dind "$@"
    [ ! -x /usr/local/bin/own-cgroup-namespace ] || set -- own-cgroup-namespace "$@" # in docker:29-dind-unshares alone
fi
exec "$@"
