"""`python -m node.sim`: see `node.sim.commands`."""

import sys

if __name__ == "__main__":
    try:
        # Imported here, where Ctrl-C is no traceback: it takes half a second.
        from node.sim.commands import main
    except KeyboardInterrupt:
        sys.exit("interrupted")
    sys.exit(main())
