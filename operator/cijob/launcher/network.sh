#!/bin/sh
# shellcheck disable=SC2154 # dind.sh sets run, net, routes and resolv
# Sourced by dind.sh: what Docker's networks have to know of the Pod's.

pod_mtu() { # what the default route says, as with some overlays, else its interface
    bytes=$(ip -4 route show default 2>/dev/null | sed -n 's/.* mtu \([0-9]*\).*/\1/p' | head -n 1)
    [ -z "$bytes" ] || { echo "$bytes" && return; }
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
    else
        say "no range of addresses is free of the cluster's: set dind.addressPools"
    fi
}

choose_iptables() { # the flavour that the node's kernel takes; without any, dockerd would end with a page of errors
    if works iptables; then return; fi
    # As the image's own entry point does: the modules may only have to be loaded.
    modprobe nf_tables 2>/dev/null
    if works iptables; then return; fi
    modprobe -a ip_tables iptable_nat iptable_filter 2>/dev/null
    for program in /usr/local/sbin/.iptables-legacy/iptables iptables-legacy; do
        program=$(command -v "$program") || continue
        works "$program" || continue
        ln -sf "$program" "$run/bin/iptables"
        ! program=$(command -v "${program%/*}/ip6${program##*/ip}") || ln -sf "$program" "$run/bin/ip6tables"
        return
    done
    problem=$(iptables --wait --table nat --list --numeric 2>&1 >/dev/null | tr -c '[:alnum:] .,:;()/_-' ' ')
    fail "iptables works in neither flavour, nft or legacy: load the kernel modules nf_tables or ip_tables, iptable_nat and iptable_filter on the node. It said: $problem"
}

works() { # works IPTABLES
    "$1" --wait --table nat --list --numeric >/dev/null 2>&1 && "$1" --wait --table filter --list --numeric >/dev/null 2>&1
}
