"""All benchmarks, one after the other: `make bench`, or `python -m tests.bench --node NAME`."""

from tests.bench import closed, features, start, startup, steps

if __name__ == "__main__":
    for part in (start, steps, features, closed, startup):
        part.main()
        print()
