# Runs in the job's shell before its script: one shell for all entries, which stops at the first failure.
cijob_entry() {
    printf '%s %s\n' "$1" "$2" >"${CIJOB_ROOT:-/.cijob}/run/entry"
    printf '$ %s\n' "$3"
}
set -e
(set -o pipefail) 2>/dev/null && set -o pipefail
