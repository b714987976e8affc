"""`testnet fault KIND` and `testnet heal`: one fault of a running testnet, as a scenario would have it.

Kinds, parameters and errors come from the table of scenarios. A fault that is waited for is healed by Ctrl-C; one that
is left alone ends at its limit, whatever becomes of this command.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from node.testnet.commands.chaos import SEED_MAX, whole
from node.testnet.commands.local import parsed
from node.testnet.errors import TestnetMisused

if TYPE_CHECKING:
    from node.testnet.runners.base import Fault
    from node.testnet.runners.proc import ProcRunner

__all__ = ["add_fault_commands"]


def add_fault_commands(commands: Any, add_common: Any) -> None:
    """Adds `fault` with a command for each kind, and `heal`."""
    from node.testnet.scenario.faults import KINDS, Scope
    from node.testnet.scenario.scenario import Direction

    fault = commands.add_parser("fault", help="break something for a time", allow_abbrev=False)
    kinds = fault.add_subparsers(required=True, metavar="KIND", dest="kind")
    for name, kind in KINDS.items():
        command = kinds.add_parser(name.replace("_", "-"), help=kind.help, description=kind.help, allow_abbrev=False)
        command.set_defaults(function=fault_, kind=name)
        for parameter, one in kind.parameters.items():
            flag = f"--{parameter.replace('_', '-')}"
            if one.is_flag:
                command.add_argument(flag, dest=f"p_{parameter}", action="store_true", default=None, help=one.help)
                continue
            text = one.help if not one.words else f"{one.help}: {', '.join(one.words)}"
            command.add_argument(
                flag, dest=f"p_{parameter}", metavar="VALUE", help=text.replace("%", "%%"), required=one.is_required
            )
        whom = "nodes, by comma, or all" + ("" if kind.needs_target else " (default: all)")
        command.add_argument("--target", help=whom, required=kind.needs_target)
        if kind.scope is Scope.LINKS and name != "partition":
            command.add_argument("--peers", help="the other ends (default: all)")
            command.add_argument("--direction", choices=tuple(one.value for one in Direction), help="which packets")
        if kind.has_end:
            command.add_argument("--for", dest="duration", required=True, metavar="TIME", help="limit, such as 30s")
        command.add_argument("--id", dest="step", help="its name (default: that of the kind)")
        command.add_argument("--seed", type=whole(0, SEED_MAX), default=1, help="of what is left to chance (default 1)")
        command.add_argument("--detach", action="store_true", help="return as soon as it has begun")
        add_common(command)

    heal_command = commands.add_parser("heal", help="end faults now", allow_abbrev=False)
    heal_command.set_defaults(function=heal)
    heal_command.add_argument("--id", dest="step", help="of one fault (default: all)")
    add_common(heal_command)


def fault_(arguments: argparse.Namespace) -> int:
    """Begins a fault and waits for its end."""
    from node.testnet.runners import attach
    from node.testnet.scenario.resolve import resolve

    runner = attach(arguments.name)
    faults = list(resolve(parsed(_document(arguments, runner), f"fault {arguments.kind}")).faults)
    missing = runner.missing(faults, {})
    if missing:
        from node.testnet.errors import TestnetUnsupported

        raise TestnetUnsupported("; ".join(missing))
    if arguments.detach and any(fault.at for fault in faults):
        raise TestnetMisused(
            f"fault {arguments.kind}: its parts begin one after the other: allowed is without --detach"
        )
    record = {"step": faults[0].step, "kind": arguments.kind, "parts": [fault.record() for fault in faults]}
    try:
        _carry_out(runner, faults, waits=not arguments.detach)
    except KeyboardInterrupt:
        runner.heal(faults[0].step)
        sys.stderr.write(f"{faults[0].step}: healed\n")
        raise
    print(json.dumps(record) if arguments.json else f"{faults[0].step}: {'begun' if arguments.detach else 'over'}")
    return 0


def heal(arguments: argparse.Namespace) -> int:
    """Ends one fault, or all of them; does nothing where there is none."""
    from node.testnet.runners import attach

    attach(arguments.name).heal(arguments.step)
    print(json.dumps({"healed": arguments.step or "all"}) if arguments.json else f"{arguments.step or 'all'}: healed")
    return 0


def _carry_out(runner: ProcRunner, faults: list[Fault], *, waits: bool) -> None:
    from node.types import to_seconds

    origin = runner.now()
    for fault in faults:
        runner.sleep_until(origin + to_seconds(fault.at))
        runner.apply(fault, origin)
        sys.stderr.write(
            f"{to_seconds(fault.at):6.1f} s  {fault.step}: {fault.kind} until {to_seconds(fault.until):g} s\n"
        )
    end = origin + max(to_seconds(fault.until) for fault in faults)
    while waits and runner.now() < end:
        time.sleep(min(0.2, max(0.0, end - runner.now())))


def _document(arguments: argparse.Namespace, runner: ProcRunner) -> dict[str, Any]:
    """A scenario of this one fault."""
    names = list(runner._live().nodes)
    parameters = {
        name.removeprefix("p_"): value
        for name, value in vars(arguments).items()
        if name.startswith("p_") and value is not None
    }
    if "groups" in parameters:
        parameters["groups"] = [part.split(",") for part in parameters["groups"].split("/")]
    entry: dict[str, Any] = {"at": 0, "id": arguments.step or arguments.kind.replace("_", "-")}
    entry[arguments.kind] = parameters or None
    if arguments.target is not None:
        entry["target"] = arguments.target.split(",")
    if getattr(arguments, "peers", None) is not None:
        entry["peers"] = arguments.peers.split(",")
    if getattr(arguments, "direction", None) is not None:
        entry["direction"] = arguments.direction
    if getattr(arguments, "duration", None) is not None:
        entry["for"] = arguments.duration
    topology = {"nodes": len(names)}
    return {"schema": 1, "title": "fault", "seed": arguments.seed, "topology": topology, "timeline": [entry]}
