"""``python -m pytest_retrychaos``: the loopback server on its own, see `cli`."""

import sys

from pytest_retrychaos.cli import main

if __name__ == "__main__":
    sys.exit(main())
