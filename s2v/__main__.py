"""`python -m s2v` is the `s2v` command."""

import sys

from s2v.cli import main

if __name__ == "__main__":
    sys.exit(main())
