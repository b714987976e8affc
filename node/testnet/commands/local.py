"""`testnet up | status | down | collect` for testnets that have a keeper, local processes above all.

What is special about containers is `containers.py`'s. Tables go to standard output, progress and errors to standard
error.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.testnet.errors import TestnetFailed, TestnetMisused

if TYPE_CHECKING:
    from node.testnet.runners.base import Plan
    from node.testnet.runners.proc import ProcRunner

__all__ = ["bring_up", "collect", "down", "is_kept", "plan_of", "status", "up"]

BROADCAST_TIMEOUT = 10.0
BROADCAST_TIMEOUT_PER_NODE = 1.0
"""Seconds that a busy machine may take until all have answered that they have it."""

IMPAIRMENTS = ("loss", "delay", "jitter", "rate")


def is_kept(name: str) -> bool:
    """Whether a keeper has a testnet of that name."""
    from node.testnet.runners.directory import directory_of

    return directory_of(name).is_alive()


def up(arguments: argparse.Namespace) -> int:
    """Starts a testnet of local processes."""
    from node.testnet.runners.proc import ProcRunner

    return bring_up(ProcRunner(arguments.name, lease=None), plan_of(arguments), arguments)


def bring_up(runner: ProcRunner, plan: Plan, arguments: argparse.Namespace) -> int:
    """Starts a testnet, waits until every node has every other as a peer, and shows one broadcast that reached all."""
    began = time.monotonic()
    try:
        runner.up(plan)
        reached = _broadcast(runner)
    except KeyboardInterrupt:
        runner.down()
        raise
    seconds = time.monotonic() - began
    _show(runner, is_json=arguments.json)
    nodes = len(plan.topology.names)
    sys.stderr.write(
        f"testnet {arguments.name!r}, runner {runner.name}, backend {runner.backend} ({runner.reason}): {nodes} nodes, "
        f"one broadcast at {reached} of them, after {seconds:.1f} s\n"
        f"watch it with `testnet watch{_option(arguments.name)}`, end it with `testnet down{_option(arguments.name)}`\n"
    )
    return 0 if reached == nodes else 1


def status(arguments: argparse.Namespace) -> int:
    """Shows the nodes; status 1 when one does not answer."""
    from node.testnet.runners import attach

    return 0 if _show(attach(arguments.name), is_json=arguments.json) else 1


def down(arguments: argparse.Namespace) -> int:
    """Ends every node and removes everything."""
    from node.testnet.runners import attach

    attach(arguments.name).down()
    return 0


def collect(arguments: argparse.Namespace) -> int:
    """Writes what the nodes tell of themselves into a folder: histories, logs, metrics, statistics, links."""
    from node.testnet.run.folder import CURE
    from node.testnet.runners import attach

    runner = attach(arguments.name)
    folder = Path(arguments.into)
    stats = runner.stats()
    texts: dict[str, str] = {
        "history.jsonl": "".join(json.dumps(event) + "\n" for event in runner.history()),
        "stats.json": json.dumps(stats, indent=2) + "\n",
        "members.json": json.dumps(runner.members(), indent=2) + "\n",
        "keeper.json": json.dumps(runner.keeper_status(), indent=2) + "\n",
    }
    texts |= {f"logs/{name}.log": "".join(f"{line}\n" for line in lines) for name, lines in runner.logs().items()}
    texts |= {f"metrics/{name}.prom": text for name, text in runner.scrape().items() if text is not None}
    if folder.exists():
        raise TestnetMisused(f"{folder} exists already; move it away, or give another --into")
    for name, text in texts.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError as error:
            reason = f"{path} cannot be written: {error.strerror}; {CURE} --into"
            raise TestnetFailed(reason) from error
    print(json.dumps({"folder": str(folder), "files": list(texts)}) if arguments.json else folder)
    return 0


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What is to be brought up: links from a preset or a file and from flags, read as those of a scenario."""
    from node.testnet.runners.base import Plan
    from node.testnet.scenario.resolve import resolve

    links: dict[str, Any] = {}
    topology = {"nodes": arguments.nodes + 1}
    document: dict[str, Any] = {"schema": 1, "title": "up", "topology": topology, "timeline": []}
    if arguments.links is not None:
        links, given = _read_links(arguments.links)
        document["topology"] |= given
    asked = {name: value for name in IMPAIRMENTS if (value := getattr(arguments, name)) is not None}
    if asked:
        links = {**links, "all": {**links.get("all", {}), **asked}}
    if links:
        document["links"] = links
    scenario = parsed(document, "--links" if arguments.links else "the command line")
    return Plan(topology=scenario.topology, links=resolve(scenario).links, seed=arguments.seed)


def _read_links(given: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a scenario's `links` and `topology` say, from a file that has them, or a preset by name."""
    from node.testnet.scenario.links import PRESETS
    from node.testnet.scenario.source import SourceError, read

    if given in PRESETS:
        return {"preset": given}, {}
    path = Path(given)
    if not path.exists():
        raise TestnetMisused(f"--links {given!r}: allowed is a file or one of {', '.join(PRESETS)}")
    try:
        values = read(path).values
    except SourceError as error:
        raise TestnetMisused(str(error.mistakes[0])) from error
    if not isinstance(values, dict):
        raise TestnetMisused(f"{path}: allowed is a mapping, as `links` of a scenario")
    if "links" in values:
        groups = values.get("topology", {}).get("groups")
        return dict(values["links"]), {} if groups is None else {"groups": groups}
    return values, {}


def parsed(document: Mapping[str, Any], place: str) -> Any:
    """A scenario made of these values; TestnetMisused says what is wrong with them."""
    import yaml

    from node.testnet.scenario.parse import parse_scenario
    from node.testnet.scenario.source import SourceError

    try:
        return parse_scenario(yaml.safe_dump(dict(document), sort_keys=False), file=place, name="command")
    except SourceError as error:
        mistake = error.mistakes[0]
        field = mistake.field.removeprefix("timeline[0]").removeprefix(".")
        raise TestnetMisused(f"{place}: {field}: {mistake.text}" if field else f"{place}: {mistake.text}") from error


def _broadcast(runner: ProcRunner) -> int:
    """How many nodes one message of the seed has reached, itself included."""
    from node.testnet.runners.live import wait_until
    from node.testnet.runners.proc import look_interval
    from node.testnet.scenario.topology import SEED

    message = runner.publish(SEED, 100)
    names = set(runner.stats())
    reached: set[str] = set()

    nodes = runner._live()

    def is_everywhere() -> bool:
        # Who has it is not asked again: many nodes on one machine have enough to do.
        nodes.read_histories(names - reached)
        reached.update(event["node"] for event in nodes.history() if event.get("message") == message)
        return reached == names

    wait_until(
        is_everywhere,
        max(BROADCAST_TIMEOUT, len(names) * BROADCAST_TIMEOUT_PER_NODE),
        look_interval(len(names)),
    )
    return len(reached)


def _show(runner: ProcRunner, *, is_json: bool) -> bool:
    """Prints a line for each node; whether all of them answered."""
    from node.testnet.status import node_status, status_lines, status_record

    processes = runner.keeper_status()["nodes"]
    answers = runner.stats()
    statuses = [node_status(name, processes[name]["state"], answer) for name, answer in answers.items()]
    print(
        json.dumps([status_record(one) for one in statuses], indent=2) if is_json else "\n".join(status_lines(statuses))
    )
    return all(answer is not None for answer in answers.values())


def _option(name: str) -> str:
    from node.testnet.compose import DEFAULT_PROJECT

    return "" if name == DEFAULT_PROJECT else f" --name {name}"
