#!/bin/sh
# launch.sh RECORD DIGEST "CGROUP..." COMMAND [ARG...]: becomes COMMAND, but first enters the cgroups and writes its own
# record. The process does both itself, so that whoever started it may die at any moment and it is still known.
set -eu
record=$1 digest=$2 groups=$3
shift 3
for group in $groups; do
    echo "$$" > "$group/cgroup.procs"
done
started=$(cut -d ' ' -f 22 "/proc/$$/stat")
printf '%s %s %s %s\n' "$$" "$started" "$(cat /proc/sys/kernel/random/boot_id)" "$digest" > "$record.new"
mv "$record.new" "$record"
cd /
exec "$@"
