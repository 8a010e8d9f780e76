module cijob.dev/tests/ryuk

go 1.25
