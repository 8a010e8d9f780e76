#!/bin/sh
# mark.sh TOKEN KIND [SENTENCE]: tells bring.sh that its files are there (brought) or will not come (failed, and why), or
# job.sh, for take.sh, that the artifacts are taken, or never will be (taken).
mark=${CIJOB_ROOT:-/.cijob}/run/$1
printf '%s\n' "${3-}" >"$mark.new" && mv "$mark.new" "$mark.$2"
