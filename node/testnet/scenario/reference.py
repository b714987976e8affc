"""The tables of docs/CHAOS.md: every key of a scenario with its unit and an example, made from the schema itself.

`python -m node.testnet.scenario.reference` prints them; a test holds the document to them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from node.testnet.scenario.faults import KINDS, Kind, Parameter
from node.testnet.scenario.links import PRESETS, SETTINGS, described
from node.testnet.scenario.quantities import SHARE
from node.testnet.scenario.regions import PLACES, REGIONS, SOURCE, delay_between
from node.testnet.scenario.scenario import INVARIANTS
from node.testnet.scenario.schema import SCHEMA
from node.types import MILLISECOND

__all__ = ["reference"]

_EXAMPLES = {
    "schema": "1",
    "title": "a split heals",
    "description": "why, and what to look at",
    "seed": "7",
    "runners": "[docker, proc]",
    "topology": "{nodes: 9}",
    "links": "{preset: wifi}",
    "backend": "auto",
    "load": "{publish: 5/s}",
    "steady": "[{peers: all}]",
    "timeline": "[{at: 2s, id: split, partition: majority, for: 20s}]",
    "expect": "[{recover: split, to: steady, within: 10s}]",
    "invariants": "[no_duplicate_delivery, {rss_below: 150MiB}]",
    "collect": "[metrics, logs]",
    "settle": "20s",
    "nodes": "9",
    "groups": "{eu: 3, us: 3}",
    "settings": "{heartbeat_interval: 0.5}",
    "preset": "lte",
    "all": "{delay: 20ms, loss: 1%}",
    "rules": "[{from: eu, to: us, delay: 40ms}]",
    "from": "node-1",
    "to": "node-2",
    "both": "false",
    "publish": "5/s",
    "size": "2KiB",
    "at": "2s",
    "id": "split",
    "for": "20s",
    "target": "{pick: 1, from: us}",
    "peers": "all",
    "direction": "out",
    "detect": "split",
    "recover": "split",
    "hold": "split",
    "when": "{peers: all}",
    "within": "10s",
    "prom": "sum(rate(positron_link_retransmitted_packets_total[5s]))",
    "state": "gossip_stats.delivered",
    "http": "/readyz",
    "log": "peer_down",
    "aggregate": "max",
    "at_least": "3",
    "at_most": "3",
    "above": "0",
    "below": "1.5",
    "equals": "8",
    "shape": "halves",
    "behaviour": "flood",
    "order": "natural",
    "bursts": "{p: 1%, r: 20%}",
    "lose_state": "true",
    "every": "4s",
    "limit": "120s",
    "share": "20%",
    "mtu": "1200B",
    "rate": "1mbit",
}


def reference() -> str:
    """All tables, as Markdown."""
    properties = SCHEMA["properties"]
    load, links = properties["load"]["properties"], properties["links"]["properties"]
    entry = {name: one for name, one in properties["timeline"]["items"]["properties"].items() if name not in KINDS}
    parts = [
        ("### The whole", _keys(properties)),
        ("### `topology`", _keys(properties["topology"]["properties"])),
        ("### `links`", _keys({**links, **links["rules"]["items"]["properties"]}, leave_out=tuple(SETTINGS))),
        ("### Settings of a link", _settings()),
        ("### Presets", _presets()),
        ("### Regions", _regions()),
        ("### `load`", _keys(load)),
        ("### `steady`, and what `when` asks", _keys(properties["steady"]["items"]["properties"])),
        ("### `timeline`: keys of every fault", _keys(entry)),
        ("### `timeline`: kinds of faults", _kinds()),
        ("### `expect`", _keys(properties["expect"]["items"]["properties"])),
        ("### `invariants`", _table(("name", "holds when"), [(f"`{n}`", text) for n, text in INVARIANTS.items()])),
    ]
    return "\n".join(f"{title}\n\n{table}" for title, table in parts)


def _keys(properties: Mapping[str, Any], leave_out: Sequence[str] = ()) -> str:
    rows = [
        (f"`{name}`", _what(one), f"`{_EXAMPLES[name]}`") for name, one in properties.items() if name not in leave_out
    ]
    return _table(("key", "what it is", "example"), rows)


def _what(one: Mapping[str, Any]) -> str:
    words = one.get("enum") or one.get("items", {}).get("enum")
    text = str(one.get("description", ""))
    return text + (f": {', '.join(f'`{word}`' for word in words if word is not None)}" if words else "")


def _settings() -> str:
    rows = []
    for name, one in SETTINGS.items():
        units = one.words if one.quantity is None else tuple(unit for unit in one.quantity.units if unit)
        example = _EXAMPLES.get(name) or (one.quantity.example if one.quantity is not None else "")
        rows.append((f"`{name}`", one.help, ", ".join(f"`{unit}`" for unit in units) or "-", f"`{example}`"))
    return _table(("setting", "what it does", "unit", "example"), rows)


def _presets() -> str:
    rows = [
        (f"`{name}`", ", ".join(f"{key} {_written(value)}" for key, value in described(one).items()))
        for name, one in PRESETS.items()
    ]
    return _table(("preset", "each link"), rows)


def _written(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return "{" + ", ".join(f"{name}: {SHARE.show(share)}" for name, share in value.items()) + "}"


def _regions() -> str:
    """The matrix, in milliseconds there and back, which is twice the one-way delay that links get."""
    rows = [
        (f"`{one}`", PLACES[one], *(f"{2 * delay_between(one, other) // MILLISECOND}" for other in REGIONS))
        for one in REGIONS
    ]
    header = ("group", "where", *(f"`{name}`" for name in REGIONS))
    return (
        "A group with one of these names stands there: `topology: {nodes: 6, groups: {us-east: 3, eu-west: 3}}`.\n\n"
        f"{_table(header, rows)}\nMilliseconds there and back, half of them each way. Source: {SOURCE}.\n"
    )


def _kinds() -> str:
    rows = [
        (f"`{name}`", kind.help, ", ".join(_parameters(kind)) or "-", f"`{_fault(name, kind)}`")
        for name, kind in KINDS.items()
    ]
    return _table(("kind", "what happens", "parameters", "example"), rows)


def _parameters(kind: Kind) -> Iterator[str]:
    for name, one in kind.parameters.items():
        yield f"`{name}` ({one.help}{'; required' if one.is_required else ''})"


def _fault(name: str, kind: Kind) -> str:
    required = {key: _example(key, one) for key, one in kind.parameters.items() if one.is_required}
    required |= {"clock": {"ahead": "40s"}, "memory": {"limit": "64MiB"}}.get(name, {})
    if kind.shorthand and len(required) <= 1:
        value = required.get(kind.shorthand) or _example(kind.shorthand, kind.parameters[kind.shorthand])
    else:
        value = "{" + ", ".join(f"{key}: {one}" for key, one in required.items()) + "}"
    words = [f"at: 2s, id: x, {name}: {value}"]
    words += ["target: node-1"] if kind.needs_target else []
    words += ["for: 20s"] if kind.has_end else []
    return "{" + ", ".join(words) + "}"


def _example(name: str, one: Parameter) -> str:
    if name in _EXAMPLES:
        return _EXAMPLES[name]
    return one.words[0] if one.words else one.quantity.example if one.quantity is not None else "true"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
