#!/bin/sh
# unpack.sh TOKEN: run beside the script, in the working directory: unpacks a tar archive from its input, and leaves the
# mark that bring.sh waits for, or a sentence that says why not.
marks=${CIJOB_ROOT:-/.cijob}/run/$1

fail() { # fail SENTENCE: the rest of the input is read too, or the answer would be lost with the connection
    printf '%s\n' "$1" >"$marks.new" && mv "$marks.new" "$marks.failed"
    printf '%s\n' "$1" >&2
    cat >/dev/null 2>&1
    exit 1
}

command -v tar >/dev/null 2>&1 ||
    fail "the job's image has no tar to unpack its files with: take one that has it, or use source.git"
umask 022
# -o: root would give each file to the user that the archive names.
tar -xof - 2>"$marks.said" || {
    read -r line <"$marks.said"
    fail "the job's files could not be unpacked: ${line:-tar failed}"
}
: >"$marks.brought" || fail "the job's files could not be marked as complete"
