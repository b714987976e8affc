"""Runs one crowd and prints what it achieved as one line of JSON: python -m crowds.main SIDE [--quick]."""

from __future__ import annotations

import json
import sys

from crowds.load import Steps

QUICK = Steps(wait=3.0, calm=4.0, step=2.0)
WHOLE = Steps(wait=5.0, calm=20.0, step=4.0)
SETTLED = Steps(wait=65.0, calm=20.0, step=4.0)


def main() -> int:
    side, is_quick = sys.argv[1], "--quick" in sys.argv
    if side == "positron":
        from crowds.ours import run

        found = run(QUICK if is_quick else SETTLED)
    else:
        from crowds.libp2p_crowd import run

        found = run(QUICK if is_quick else WHOLE)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
