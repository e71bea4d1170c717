"""`python -m zeus` is the command line."""

from zeus.cli import main

if __name__ == "__main__":
    main()
