"""`testnet links show | set | verify | clear`: what links of a running testnet are asked to do, and whether they do.

Speaks to testnets of local processes. Settings are those of scenarios, with the same words and errors.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from node.testnet.commands.chaos import whole
from node.testnet.commands.local import parsed
from node.testnet.errors import TestnetMisused

if TYPE_CHECKING:
    from node.testnet.run.verification import LinkFinding
    from node.testnet.runners.base import LinkName
    from node.testnet.runners.proc import ProcRunner

__all__ = ["add_links_commands"]

NOT_APPLIED = 3
COUNT_MAX = 10_000


def add_links_commands(commands: Any, add_common: Any) -> None:
    """Adds `links` with its own commands."""
    from node.testnet.scenario.links import PRESETS, SETTINGS

    links = commands.add_parser("links", help="show, change and measure links", allow_abbrev=False)
    verbs = links.add_subparsers(required=True, metavar="COMMAND")
    for name, function, text in (
        ("show", show, "say what links are asked to do, faults included"),
        ("set", set_, "give links other settings"),
        ("verify", verify, "measure links with counted probes; status 3 if one does not do what it is asked to"),
        ("clear", clear, "make links clean again"),
    ):
        verb = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        verb.set_defaults(function=function)
        verb.add_argument("--from", dest="source", default="all", metavar="NODE", help="sender (default: all)")
        verb.add_argument("--to", dest="target", default="all", metavar="NODE", help="receiver (default: all)")
        if name != "show":
            verb.add_argument("--one-way", action="store_true", help="not the way back")
        if name == "set":
            verb.add_argument("--preset", choices=tuple(PRESETS), help="what they are like to begin with")
            for setting, one in SETTINGS.items():
                if setting != "bursts":
                    verb.add_argument(f"--{setting}", metavar="VALUE", help=one.help)
            verb.add_argument("--bursts", metavar="P,R", help=SETTINGS["bursts"].help)
        if name == "verify":
            verb.add_argument(
                "--count", type=whole(1, COUNT_MAX), default=300, help="probes for each link (default 300)"
            )
        add_common(verb)


def show(arguments: argparse.Namespace) -> int:
    """One line for each link: what it is asked to do, what it did."""
    from node.cli.tables import table
    from node.testnet.runners.asked import faults_on
    from node.testnet.scenario.links import described

    runner, links = _chosen(arguments)
    nodes = runner._live()
    answers = runner.chaos_status()
    records = []
    for source, target in links:
        answer = answers[source] or {}
        counts = answer.get("links", {}).get(nodes.nodes[target].peer_host, {}) if runner.backend == "wire" else {}
        faults = faults_on(answer, nodes.nodes[target].peer_host) if answer else []
        settings = described(runner._links[source, target])
        records.append({"from": source, "to": target, "settings": settings, "faults": faults, **counts})
    if arguments.json:
        print(json.dumps(records, indent=2))
        return 0
    rows = [
        (
            one["from"],
            one["to"],
            " ".join(f"{name}={value}" for name, value in one["settings"].items()) or "clean",
            ", ".join(one["faults"]) or "-",
            # What a kernel drops no node counts.
            str(one.get("offered", "-")),
            str(one.get("lost", "-")),
        )
        for one in records
    ]
    print("\n".join(table(("FROM", "TO", "SETTINGS", "FAULTS", "OFFERED", "LOST"), rows, numbers=(4, 5))))
    return 0


def set_(arguments: argparse.Namespace) -> int:
    """Gives links settings, in place of those they had."""
    from node.testnet.scenario.links import SETTINGS
    from node.testnet.scenario.resolve import resolve

    runner, links = _chosen(arguments)
    fields = {name: value for name in SETTINGS if (value := getattr(arguments, name)) is not None}
    if "bursts" in fields:
        p, _, r = fields["bursts"].partition(",")
        fields["bursts"] = {"p": p, "r": r}
    if not fields and arguments.preset is None:
        raise TestnetMisused("links set: allowed is at least one setting, or --preset; `links clear` makes them clean")
    document: dict[str, Any] = {"schema": 1, "title": "links", "topology": {"nodes": 2}, "timeline": []}
    document["links"] = {"all": fields} | ({"preset": arguments.preset} if arguments.preset else {})
    settings = next(iter(resolve(parsed(document, "links set")).links.values()))
    runner.set_links(dict.fromkeys(links, settings))
    return _said(arguments, f"{len(links)} links changed", {"links": [list(link) for link in links]})


def clear(arguments: argparse.Namespace) -> int:
    """Makes links clean; faults on them go on until they are healed."""
    from node.impairment.link import LinkSettings

    runner, links = _chosen(arguments)
    runner.set_links(dict.fromkeys(links, LinkSettings()))
    return _said(arguments, f"{len(links)} links are clean", {"links": [list(link) for link in links]})


def verify(arguments: argparse.Namespace) -> int:
    """Asked against measured, for each link."""
    from node.cli.tables import duration, table
    from node.testnet.run.verification import measured

    runner, links = _chosen(arguments)
    asked = runner.asked(links)
    findings = measured(lambda again: runner.probe(again, arguments.count), asked)
    if arguments.json:
        print(json.dumps([_record(one) for one in findings], indent=2))
    else:
        rows = [
            (
                *one.link,
                str(one.sent),
                f"{one.loss_asked:.1%}",
                f"{one.loss_measured:.1%}",
                duration(one.delay_asked),
                duration(one.delay_measured),
                duration(one.machine),
                one.text or "ok",
            )
            for one in findings
        ]
        header = ("FROM", "TO", "PROBES", "LOSS ASKED", "MEASURED", "DELAY ASKED", "MEASURED", "MACHINE", "")
        print("\n".join(table(header, rows, numbers=range(2, 8))))
    return 0 if all(one.is_applied for one in findings) else NOT_APPLIED


def _record(one: LinkFinding) -> dict[str, Any]:
    return {
        "from": one.link[0],
        "to": one.link[1],
        "sent": one.sent,
        "received": one.received,
        "loss_asked": one.loss_asked,
        "loss_measured": one.loss_measured,
        "delay_asked": one.delay_asked,
        "delay_measured": one.delay_measured,
        "machine": one.machine,
        "is_applied": one.is_applied,
        "text": one.text,
    }


def _chosen(arguments: argparse.Namespace) -> tuple[ProcRunner, list[LinkName]]:
    """The testnet and the links that are meant; TestnetMisused for a node that is not there."""
    from node.testnet.runners import attach

    runner = attach(arguments.name)
    names = list(runner._live().nodes)
    ends = []
    for given in (arguments.source, arguments.target):
        if given != "all" and given not in names:
            raise TestnetMisused(f"no node {given!r}; there are all, {', '.join(names)}")
        ends.append(names if given == "all" else [given])
    links = {(source, target): None for source in ends[0] for target in ends[1] if source != target}
    if not getattr(arguments, "one_way", True):
        links.update({(target, source): None for source, target in list(links)})
    if not links:
        raise TestnetMisused("allowed are two nodes that are not the same")
    return runner, list(links)


def _said(arguments: argparse.Namespace, text: str, record: dict[str, Any]) -> int:
    print(json.dumps(record) if arguments.json else text)
    return 0
