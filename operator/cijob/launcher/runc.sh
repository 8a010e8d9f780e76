# shellcheck shell=sh disable=SC2154 # the line before this one, by cgroup.sh: runc, groups, parent, quota, period
# Stands before runc on dockerd's PATH, and looks after two things that Docker has no setting for:
# - A new inner container stays below the group that is limited, also one that asks for another parent, as builders of
#   buildx do.
# - Without a CPU limit of its own it gets the sidecar's, which changes nothing but what it sees. The group is made before
#   runc starts, which then sets only what the container asked for.
wanted='' bundle='' before=''
for word in "$@"; do
    case $word in
    create | run) wanted=1 ;;
    --bundle=*) bundle=${word#*=} ;;
    esac
    case $before in -b | --bundle) bundle=$word ;; esac
    before=$word
done
path=''
[ -z "$wanted" ] || [ -z "$bundle" ] || path=$(sed -n 's/.*"cgroupsPath": *"\([^"]*\)".*/\1/p' "$bundle/config.json")
asked=$path
case $path in
'' | *:*) path='' ;; # systemd's form: not ours
*[!A-Za-z0-9/_.@-]* | *..*) path=$parent/other/$(printf %s "${path##*/}" | tr -c 'A-Za-z0-9_-' _) ;;
"$parent"/*) ;;
*) path=$parent/${path#/} ;;
esac
[ "$path" = "$asked" ] || [ -z "$path" ] ||
    sed -i "s|\"cgroupsPath\": *\"[^\"]*\"|\"cgroupsPath\":\"$path\"|" "$bundle/config.json"
if [ -n "$path" ] && [ -n "$quota" ]; then
    group=$groups/${path#"${parent%/docker}/"}
    { mkdir -p "$group" && if [ -f "$group/cgroup.controllers" ]; then # v2
        [ -f "$group/cpu.max" ] || echo +cpu >"${group%/*}/cgroup.subtree_control"
        echo "$quota $period" >"$group/cpu.max"
    else
        echo "$period" >"$group/cpu.cfs_period_us" && echo "$quota" >"$group/cpu.cfs_quota_us"
    fi; } 2>/dev/null
fi
exec "$runc" "$@"
