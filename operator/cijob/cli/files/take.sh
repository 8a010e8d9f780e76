#!/bin/sh
# shellcheck disable=SC2154 # the line before this text sets cijob_transfer, cijob_seconds and cijob_when
# The first entry of afterScript where `cijob run` takes artifacts or caches: has job.sh hold the container behind afterScript,
# however that ends. job.sh says so in a line of the log that `cijob run` knows by its token.
printf '%s %s %s\n' "$cijob_transfer" "$cijob_seconds" "$cijob_when" >|"${CIJOB_ROOT:-/.cijob}/run/hold" || :
unset cijob_transfer cijob_seconds cijob_when
