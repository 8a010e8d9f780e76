# shellcheck shell=sh disable=SC2154 # the lines before these, by cgroup.sh: runc, groups, parent, quota, period
# Stands before runc on dockerd's PATH: a new inner container without a CPU limit of its own gets the sidecar's, which
# changes nothing but what it sees. The group is made before runc starts, which then sets only what the container asked for.
wanted='' bundle='' before=''
for word in "$@"; do
    case $word in
    create | run) wanted=1 ;;
    --bundle=*) bundle=${word#*=} ;;
    esac
    case $before in -b | --bundle) bundle=$word ;; esac
    before=$word
done
if [ -n "$wanted" ] && [ -n "$bundle" ]; then
    path=$(sed -n 's/.*"cgroupsPath": *"\([^"]*\)".*/\1/p' "$bundle/config.json")
    case $path in
    */../*) ;;
    "$parent"/*)
        group=$groups/${path#"${parent%/docker}/"}
        { mkdir -p "$group" && if [ -f "$group/cgroup.controllers" ]; then # v2
            [ -f "$group/cpu.max" ] || echo +cpu >"${group%/*}/cgroup.subtree_control"
            echo "$quota $period" >"$group/cpu.max"
        else
            echo "$period" >"$group/cpu.cfs_period_us" && echo "$quota" >"$group/cpu.cfs_quota_us"
        fi; } 2>/dev/null
        ;;
    esac
fi
exec "$runc" "$@"
