"""`python -m cijob`: the operator, in or out of a cluster."""

from cijob.main import run

if __name__ == "__main__":
    run()
