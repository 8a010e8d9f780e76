#!/bin/sh
# PID 1 of the container git: checks a repository out into the working directory, before the job's container starts.
# POSIX sh: dash, bash and BusyBox ash run it.
#
# Environment: CIJOB_GIT_URL, CIJOB_GIT_REF (empty: the remote's HEAD), CIJOB_GIT_DEPTH (0: everything),
# CIJOB_GIT_SUBMODULES (empty, Normal, Recursive); from the Secret CIJOB_GIT_USERNAME, CIJOB_GIT_PASSWORD,
# CIJOB_GIT_SSH_KEY, CIJOB_GIT_KNOWN_HOSTS, CIJOB_GIT_CA. Password and key are never in a file or in a command's words.
set -u

root=${CIJOB_ROOT:-/.cijob}
log=${CIJOB_TERMINATION_LOG:-/dev/termination-log}
url=$CIJOB_GIT_URL
ref=${CIJOB_GIT_REF:-HEAD}
depth=${CIJOB_GIT_DEPTH:-1}
username=$(printf %s "${CIJOB_GIT_USERNAME:-}") # without the newline that many a Secret ends with
password=$(printf %s "${CIJOB_GIT_PASSWORD:-}")

if [ "${1:-}" = get ]; then printf 'username=%s\npassword=%s\n' "${username:-git}" "$password"; fi
[ $# -eq 0 ] || exit 0 # git called us for credentials, as `configure` told it to

say() { printf 'cijob: %s\n' "$*"; }

masked() { # copies its input, line by line, without the password as it is or as HTTP sends it
    secret=${password:-$username} encoded=''
    [ -z "$secret" ] || encoded=$(printf %s "${username:-git}:$password" | base64 | tr -d '\n')
    while IFS= read -r line || [ -n "$line" ]; do
        for word in "$secret" "$encoded"; do
            [ -n "$word" ] || continue
            clean=''
            while [ "$line" != "${line#*"$word"}" ]; do
                clean="$clean${line%%"$word"*}***"
                line=${line#*"$word"}
            done
            line=$clean$line
        done
        printf '%s\n' "$line"
        printf '%s\n' "$line" >>"$HOME/said"
    done
}

configure() { # what the URL's own host gets, no other does: submodules may be anywhere
    server=${url#*://}
    server=${server%%/*}
    server=${server#*@}
    case $server in
    '['*) host=${server#?} host=${host%%]*} ;;
    *) host=${server%%:*} ;;
    esac
    case $url in https://*) ;; *) server=$host ;; esac
    trust=yes
    [ -n "${CIJOB_GIT_KNOWN_HOSTS:-}" ] || trust=accept-new
    case $trust:$url in
    yes:* | *:http://* | *:https://*) ;;
    *) say "the Secret has no known_hosts: whoever answers as $host is trusted" ;;
    esac
    {
        printf '[%s]\n%s\n' advice detachedHead=false gc auto=0 maintenance auto=false \
            safe 'directory=*' http lowSpeedLimit=1 http lowSpeedTime=120
        [ -z "$username$password" ] ||
            printf '[credential "https://%s"]\nhelper="!sh %s/launcher/git.sh"\n' "$server" "$root"
        [ -z "${CIJOB_GIT_CA:-}" ] || printf '[http "https://%s"]\nsslCAInfo=%s/ca.crt\n' "$server" "$HOME"
    } >"$HOME/.gitconfig"
    printf '%s\n' "${CIJOB_GIT_CA:-}" >"$HOME/ca.crt"
    printf '%s\n' "${CIJOB_GIT_KNOWN_HOSTS:-}" >"$HOME/known_hosts"
    printf '%s\n' "Host $host" "IdentityAgent $HOME/agent" 'Host *' 'IdentityAgent none' 'BatchMode yes' \
        'ConnectTimeout 30' 'ServerAliveInterval 15' 'ServerAliveCountMax 8' "StrictHostKeyChecking $trust" \
        "UserKnownHostsFile $HOME/known_hosts" 'GlobalKnownHostsFile none' >"$HOME/ssh_config"
}

load_key() { # into an agent's memory
    ssh-agent -a "$HOME/agent" >/dev/null &&
        printf '%s\n' "$CIJOB_GIT_SSH_KEY" | tr -d '\r' |
        SSH_AUTH_SOCK=$HOME/agent SSH_ASKPASS_REQUIRE=never ssh-add -q - && return
    say "ssh-privatekey in the Secret cannot be used: it must be a whole private key, without a passphrase"
    return 1
}

is_commit() { # or the beginning of one
    case $ref in *[!0-9a-fA-F]*) return 1 ;; ????*) ;; *) return 1 ;; esac
}

fetch() { # fetch [--depth=N]: leaves what to check out in `found`
    found=FETCH_HEAD
    [ $# -ne 0 ] || git fetch --quiet --tags origin || return
    if ! is_commit; then
        git fetch --no-tags "$@" -- origin "$ref" || return
    elif ! git fetch --no-tags "$@" -- origin "$ref" 2>"$HOME/error"; then
        # An abbreviation means nothing to a server, and to some not even a commit that no branch or tag ends with.
        grep -qi -e "couldn't find remote ref" -e 'unadvertised object' -e 'not our ref' "$HOME/error" || {
            cat "$HOME/error"
            return 1
        }
        if [ $# -ne 0 ]; then
            say "the server has nothing named $ref: fetching all branches and tags to look for a commit"
            git fetch --quiet --tags origin || return
        fi
        found=$ref
        git rev-parse --quiet --verify "$ref^{commit}" >/dev/null || { say "there is no branch, tag or commit $ref in $url" && return 1; }
    fi
}

keep_tag() { # for `git describe`: a fetch by name leaves only the commit
    read -r object kind _ <.git/FETCH_HEAD && [ "$kind" = tag ] || return 0
    name=${ref#refs/}
    git update-ref "refs/tags/${name#tags/}" "$object"
}

check_out() {
    umask 0 # the job may be of any user
    rm -rf .git # from a try of ours that was cut off, as by a node's restart
    git init --quiet --template= && git remote add origin "$url" || return
    set -- "--depth=$depth"
    [ "$depth" -ne 0 ] || shift
    fetch "$@" && keep_tag && git checkout --quiet --force --detach "$found" -- || return
    case ${CIJOB_GIT_SUBMODULES:-} in
    Normal) git submodule --quiet update --init --force --jobs=4 "$@" ;;
    Recursive) git submodule --quiet update --init --force --recursive --jobs=4 "$@" ;;
    esac || return
    git rev-parse HEAD >"$root/run/commit" && say "checked out $(git log -1 --format='%h %s')"
}

main() {
    command -v git >/dev/null || { say "the image of the container git has no git" && return 1; }
    configure && { [ -z "${CIJOB_GIT_SSH_KEY:-}" ] || load_key; } || return
    unset CIJOB_GIT_SSH_KEY CIJOB_GIT_KNOWN_HOSTS CIJOB_GIT_CA SSH_AUTH_SOCK
    check_out
}

trap 'exit 143' TERM INT # all that we started ends with PID 1
say "fetching $ref from $url"
HOME=$(mktemp -d 2>&1) || { echo "$HOME" | tee "$log" && exit 1; }
: >"$HOME/said"
export HOME LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_ALLOW_PROTOCOL=http:https:ssh GIT_SSH_COMMAND="ssh -F '$HOME/ssh_config'"
{
    main 2>&1
    echo $? >"$HOME/code"
} | masked &
wait $!
read -r code <"$HOME/code" || code=1
[ "$code" -eq 0 ] && exit
tail -n 10 "$HOME/said" | tail -c 1000 >"$log"
exit 1
