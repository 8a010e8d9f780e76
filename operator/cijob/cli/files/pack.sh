#!/bin/sh
# pack.sh: run in the working directory: archives what its input names, each name ended by a NUL.
case $(tar --version 2>/dev/null) in
*GNU* | *bsdtar*) tar -cf - --null -T - ;;
*) xargs -0 tar -cf - ;; # not every BusyBox has -T; many names become several archives behind each other
esac
code=$?
cat >/dev/null 2>&1
exit "$code"
