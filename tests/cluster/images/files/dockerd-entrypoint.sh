#!/bin/sh
# Stand-in for the entry point of docker:dind. As there: with no argument, or one that starts with a dash, dockerd listens
# on the socket and on TCP for everyone; an explicit `dockerd ...` is taken as it is. The daemon runs below docker-init and
# the dind wrapper. Certificates are not made here: an image for tests has no use for them.
set -eu

case ${1:--} in
    -*) set -- dockerd --host=unix:///var/run/docker.sock --host=tcp://0.0.0.0:2375 --tls=false "$@" ;;
esac
if [ "$1" = dockerd ]; then
    # what an unclean end left behind would keep dockerd from starting
    find /run -name 'docker*.pid' -delete
    # a node with rules in the older tables needs the older program
    if [ -s /proc/net/ip_tables_names ] && [ -d /usr/local/sbin/.iptables-legacy ]; then
        PATH=/usr/local/sbin/.iptables-legacy:$PATH
        export PATH
    fi
    set -- docker-init -- dind "$@"
fi
exec "$@"
