"""`python -m node.sim`: see `node.sim.commands`."""

import sys

from node.sim.commands import main

if __name__ == "__main__":
    sys.exit(main())
