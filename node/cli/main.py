"""The command `positron`: reads the command line, runs one command, and ends with status 0, 1 or 2.

0: done; SIGINT, SIGTERM and SIGHUP end a running node so. 1: it could not be done. 2: the command line or the
configuration is impossible. Knows nothing of nodes: each command is a function that is imported when it is asked for,
so that `positron --help` stays fast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from node.cli.ending import Ending
from node.cli.errors import CommandFailed, CommandMisused
from node.cli.output import forget_output, ready_output
from node.errors import ConfigError, PositronError

__all__ = ["main"]

_COMMANDS = {
    "broadcast": ("node.cli.ask", "broadcast"),
    "config": ("node.cli.local", "check"),
    "doctor": ("node.cli.doctor", "doctor"),
    "keygen": ("node.cli.local", "keygen"),
    "messages": ("node.cli.messages", "messages"),
    "peers": ("node.cli.ask", "peers"),
    "qlog": ("node.cli.qlog", "qlog"),
    "send": ("node.cli.ask", "send"),
    "stats": ("node.cli.ask", "stats"),
    "top": ("node.cli.top", "top"),
    "trust": ("node.cli.ask", "trust"),
}
"""Where each command is, beside `run`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status. argv: the words after the program's name; `sys.argv` if None."""
    ready_output()
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except (ConfigError, CommandMisused) as error:
        return _complain(str(error), 2)
    except (CommandFailed, PositronError) as error:
        return _complain(str(error), 1)
    except BrokenPipeError:
        forget_output()
        return 1
    except OSError as error:
        forget_output()
        return _complain(f"failed: {error.strerror or error}", 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 1)


def _run(argv: list[str]) -> int:
    # Imported here, where Ctrl-C is no traceback: reading the settings takes a third of the time until a node runs.
    from node.cli.flags import unknown_flags
    from node.cli.parser import parser

    arguments, rest = parser().parse_known_args(argv)
    unknown = unknown_flags(rest)
    command: str = arguments.command
    if command in ("run", "config", "doctor"):
        arguments.unknown = unknown
    elif unknown:
        arguments.parser.error(f"unknown: {' '.join(unknown)}")
    if command == "run":
        status = _run_node(arguments)
    else:
        module, name = _COMMANDS[command]
        status = getattr(import_module(module), name)(arguments)
    sys.stdout.flush()
    return status


def _run_node(arguments: argparse.Namespace) -> int:
    with Ending() as ending:
        # Signals are heard from here on: the imports take longer than a container that is stopped at once may live.
        from node.cli.heap import without_certificates

        with without_certificates():
            from node.cli.run import run

        return run(arguments, ending)


def _complain(text: str, status: int) -> int:
    for line in text.splitlines() or ["failed"]:
        print(f"positron: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
