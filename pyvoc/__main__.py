"""``python -m pyvoc``: the command line."""

import sys

from pyvoc.cli import main

if __name__ == "__main__":
    sys.exit(main())
