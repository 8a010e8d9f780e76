#!/bin/sh
# A test run that fails, with an exit code that nothing else here uses.
echo "web-debug: running 3 tests"
echo "ok - starts"
echo "not ok - answers"
echo "web-debug: 1 failed"
exit 7
