#!/bin/sh
# The job's shell starts here, with the name of the file to run: `script` or `after`. The file's entries share this shell.

cijob_entry() { # cijob_entry PART NUMBER LINES TEXT: says what comes, and leaves the text for `eval`
    # >| and `command`: neither `set -C` nor a function of the script's may break this, nor a full disk the script.
    command printf '%s %s\n' "$1" "$2" >|"${CIJOB_ROOT:-/.cijob}/run/entry" || :
    # shellcheck disable=SC2034 # the script's own lines read it
    cijob_text=$4
    case $3 in
    1) command printf '$ %s\n' "$4" || : ;;
    *) command printf '$ %s # %s lines\n' "${4%%"
"*}" "$3" || : ;;
    esac
} 2>/dev/null

cijob_file=${CIJOB_ROOT:-/.cijob}/launcher/$1
shift # the script's own $1, $2... are its own
set -e
# shellcheck disable=SC3040 # dash before 0.5.13 has no pipefail
if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi
# shellcheck source=/dev/null
. "$cijob_file"
