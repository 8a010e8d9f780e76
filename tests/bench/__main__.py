"""All benchmarks, one after the other: `make bench`, or `python -m tests.bench --node NAME`."""

from tests.bench import closed, features, start, steps

if __name__ == "__main__":
    for part in (start, steps, features, closed):
        part.main()
        print()
