"""One end of a measurement as a process.

`python -m sides.main TRANSPORT serve HOST`, or `... TRANSPORT ask HOST PORT JOB SECONDS`.

The serving end prints a JSON line with its port, and another with its CPU seconds when its input ends; the asking end
prints one with what it measured. --uvloop runs either on uvloop; --option NAME=VALUE is for the transport.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
from typing import Any

from sides.blocks import cpu_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("transport")
    parser.add_argument("role", choices=["serve", "ask"])
    parser.add_argument("host")
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("job", nargs="?", choices=["bulk", "exchange"])
    parser.add_argument("seconds", type=float, nargs="?", default=3.0)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--option", action="append", default=[])
    arguments = parser.parse_args()
    factory = None
    if arguments.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    options = dict(option.split("=", 1) for option in arguments.option)
    side = importlib.import_module(f"sides.{arguments.transport}")
    with asyncio.Runner(loop_factory=factory) as runner:
        if arguments.role == "serve":
            runner.run(serve(side, arguments.host, options))
        else:
            job = getattr(side, arguments.job)
            report(runner.run(job((arguments.host, arguments.port), arguments.seconds, options)))


async def serve(side: Any, host: str, options: dict[str, str]) -> None:
    """Until our input ends. Only what happens after the first line of input counts."""
    port = await side.serve(host, options)
    report({"port": port})
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.read)
    report({"cpu": cpu_seconds()})


def report(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)


if __name__ == "__main__":
    main()
