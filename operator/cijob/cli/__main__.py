"""`python -m cijob.cli`: the command line."""

from cijob.cli.app import main

if __name__ == "__main__":
    main()
