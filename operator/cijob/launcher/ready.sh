#!/bin/sh
# A service's check, run by the kubelet in the service's container: ready.sh NAME COMMAND... It asks many times within one
# run, since a kubelet starts one a second at most, and marks the service as ready for job.sh. What the command said last
# lies beside the mark. The image may have nothing but this shell and a sleep command.
set -u
umask 022 # the job may be another user
mark=${CIJOB_ROOT:-/.cijob}/services/$1
shift
# The kubelet asks on for as long as the service runs; a run that takes its time is cheaper than one a second.
[ ! -e "$mark" ] || { sleep 25 && exit; }
last=''
IFS=' .' read -r began rest </proc/uptime
until said=$("$@" </dev/null 2>&1); do
    # Not each time: job.sh may read it in the moment in which it is empty.
    [ "$said" = "$last" ] || printf '%.1000s\n' "$said" >"$mark.last"
    last=$said
    # It ends before the kubelet ends it, which would leave the command behind.
    IFS=' .' read -r now rest </proc/uptime
    [ $((now - began)) -lt 20 ] || exit 1
    sleep 0.1 2>/dev/null || sleep 1 || exit 1
done
: >"$mark"
