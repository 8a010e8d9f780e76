#!/bin/sh
# The job's shell starts here, with the name of the file to run: `script` or `after`. The file's entries share this shell.

cijob_entry() { # cijob_entry PART NUMBER LINES TEXT KIND: says what comes, and leaves the text for `eval`
    # >| and `command`: neither `set -C` nor a function of the script's may break this, nor a full disk the script.
    [ -n "${cijob_open-}" ] || command printf '%s %s\n' "$1" "$2" >|"${CIJOB_ROOT:-/.cijob}/run/entry" || :
    case $3 in
    1) command printf '$ %s\n' "${4%%"
"*}" || : ;;
    *) command printf '$ %s # %s lines\n' "${4%%"
"*}" "$3" || : ;;
    esac
    cijob_text=${cijob_open-}$4
    case $5${cijob_open:+-open} in
    last*) return 0 ;; # its status is the script's, also that of a list or of what `!` is before
    whole) ;;
    *)
        # What is not whole is run as it is, or, where that was meant, with the entries behind it: as one script, as in GitLab.
        (eval "if false; then :
$cijob_text
fi") || {
            case $5${cijob_open:+-open} in
            *open)
                cijob_open=$cijob_text'
' cijob_text=:
                ;;
            esac
            return 0
        }
        cijob_open=''
        ;;
    esac
    # `set -e` ends the script inside of `eval`, or not at all: `false && true` and `! true` are no failures of a line.
    cijob_text="$cijob_text
:"
} 2>/dev/null

cijob_file=${CIJOB_ROOT:-/.cijob}/launcher/$1
shift # the script's own $1, $2... are its own
set -e
# shellcheck disable=SC3040 # dash before 0.5.13 has no pipefail
if (set -o pipefail) 2>/dev/null; then set -o pipefail; fi
# shellcheck source=/dev/null
. "$cijob_file"
