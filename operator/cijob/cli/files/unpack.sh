#!/bin/sh
# unpack.sh: run beside the script, in the working directory: unpacks a tar archive from its input, and says in a sentence why
# not. It leaves no mark: an input that ends early may be a connection that broke, which only the other side knows.
fail() { # fail SENTENCE: the rest of the input is read too, or the answer would be lost with the connection
    printf '%s\n' "$1" >&2
    cat >/dev/null 2>&1
    exit 1
}

command -v tar >/dev/null 2>&1 ||
    fail "the job's image has no tar to unpack its files with: take one that has it, or use source.git"
umask 022
# -o: root would give each file to the user that the archive names.
said=$(tar -xof - 2>&1) || fail "the job's files could not be unpacked: ${said:-tar failed}"
