"""`python -m danqing` is the command line."""

import sys

from danqing.interfaces.cli import main

if __name__ == "__main__":
    sys.exit(main())
