"""Standard output as every command may use it, whatever it was given: any text can be written, and a reader may go.

Knows nothing of what is written.
"""

from __future__ import annotations

import io
import os
import sys

__all__ = ["forget_output", "ready_output"]


def ready_output() -> None:
    """Makes standard output take any text.

    A terminal that has no such character shows a question mark, and where output is closed, nobody reads it.
    """
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 -- it is the program's to its end
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def forget_output() -> None:
    """What is buffered for a reader that is gone, or for a full disk, must not fail a second time at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
