module cijob.dev/tests/cpus

go 1.25
