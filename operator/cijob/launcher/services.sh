#!/bin/sh
# shellcheck disable=SC2154,SC2034 # job.sh sets what is read here, and reads what is set here
# Sourced by job.sh where the job has services: waits until each is ready.
#
# Environment: CIJOB_SERVICES, words of the form NAME:SECONDS:PORTS:READY: how long it may take from now on, the ports on
# which it has to listen (between commas), and 1 if ready.sh marks it. The image may have nothing but a sleep command.

cijob_net=${CIJOB_PROC_NET:-/proc/net}
IFS=' .' read -r cijob_began cijob_line </proc/uptime

list_ports() { # in cijob_ports: the TCP ports on which any of the Pod's containers listens
    cijob_ports=,
    for cijob_file in "$cijob_net/tcp" "$cijob_net/tcp6"; do
        [ ! -r "$cijob_file" ] || read_ports <"$cijob_file"
    done
}

read_ports() {
    read -r cijob_line || return 0
    # Those that listen (0A) come first; behind them there may be thousands of connections.
    while read -r cijob_line cijob_number cijob_line cijob_state cijob_line && [ "$cijob_state" = 0A ]; do
        cijob_ports=$cijob_ports$((0x${cijob_number##*:})),
    done
}

lacks() { # lacks WORD: whether this service is not ready; its name, seconds, and what it lacks in cijob_name, _limit, _lack
    IFS=:
    # shellcheck disable=SC2086 # split
    set -- $1
    cijob_name=$1 cijob_limit=$2 cijob_lack='' cijob_check=$4
    IFS=,
    for cijob_number in $3; do
        case $cijob_ports in
        *",$cijob_number,"*) ;;
        *) cijob_lack="nothing listens on its port $cijob_number" && break ;;
        esac
    done
    unset IFS
    if [ -z "$cijob_lack" ] && [ "$cijob_check" = 1 ] && [ ! -e "$cijob_root/services/$cijob_name" ]; then
        cijob_lack='its check has not succeeded'
    fi
    [ -n "$cijob_lack" ]
}

wait_for_services() {
    cijob_part=services cijob_total=0
    cijob_left=${CIJOB_SERVICES:-}
    while [ -z "$cijob_signal" ] || finish 143; do
        IFS=' .' read -r cijob_now cijob_line </proc/uptime
        list_ports
        cijob_waiting=$cijob_left cijob_left=''
        for cijob_one in $cijob_waiting; do
            if ! lacks "$cijob_one"; then continue; fi
            [ $((cijob_now - cijob_began)) -le "$cijob_limit" ] || give_up
            [ "$cijob_total" -ne 100 ] || say "waiting for $cijob_name: $cijob_lack yet..."
            cijob_left="$cijob_left $cijob_one"
        done
        [ -n "$cijob_left" ] || return 0
        pause 'do without ports and ready in spec.services'
        cijob_total=$((cijob_total + cijob_steps))
    done
}

give_up() { # on the service that lacks something
    say "$cijob_name was not ready after $cijob_limit s: $cijob_lack; see the log of the container $cijob_name"
    if [ "$cijob_check" = 1 ] && [ -s "$cijob_root/services/$cijob_name.last" ]; then
        say "its check said last:"
        while IFS= read -r cijob_line; do printf '%s\n' "$cijob_line"; done <"$cijob_root/services/$cijob_name.last"
    fi
    cijob_trouble=",\"service\":\"$cijob_name\""
    finish 125
}
