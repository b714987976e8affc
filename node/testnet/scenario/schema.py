"""The JSON Schema of scenario files, made from the tables of links and faults.

The file `schema.json` beside the scenarios is this, written out, for editors that complete and check as one types.
What a schema cannot say well (names that exist, faults that overlap) `parse.py` checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.testnet.scenario.faults import KINDS, Kind, Parameter
from node.testnet.scenario.links import PRESETS, SETTINGS
from node.testnet.scenario.quantities import BYTES, DURATION, FREQUENCY, MESSAGE, SOME, Quantity
from node.testnet.scenario.scenario import BACKENDS, COLLECTED, INVARIANTS, RUNNERS, SEED_MAX, Direction

__all__ = ["COMPARISONS", "PROBE_KINDS", "SCHEMA"]

Schema = dict[str, Any]

COMPARISONS = ("at_least", "at_most", "above", "below", "equals")
PROBE_KINDS = ("peers", "prom", "state", "http", "log")
NAME = r"^[a-z][a-z0-9_-]{0,31}$"
TEXT_MAX = 2000
LIST_MAX = 200


def _quantity(quantity: Quantity, text: str) -> Schema:
    return {
        "type": ["string", "number"],
        "pattern": quantity.pattern,
        "minimum": 0,
        "description": f"{text}; {quantity.allowed}",
        # In messages: what is allowed, without what it means.
        "$comment": quantity.allowed,
    }


def _object(properties: Mapping[str, Schema], text: str, required: Sequence[str] = ()) -> Schema:
    found: Schema = {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        "description": text,
    }
    return found | {"required": list(required)} if required else found


def _words(words: Sequence[str], text: str) -> Schema:
    return {"enum": list(words), "description": text}


def _list(items: Schema, text: str) -> Schema:
    return {"type": "array", "items": items, "maxItems": LIST_MAX, "description": text}


_NAME: Schema = {
    "type": "string",
    "pattern": NAME,
    "$comment": "a name: a small letter, then up to 31 of small letters, digits, - and _",
}
_NAMED: Schema = {"type": "string", "pattern": NAME, "description": "a node, a group or `all`"}
_NAMES: Schema = {
    "type": ["string", "array"],
    "items": _NAMED,
    "minItems": 1,
    "maxItems": LIST_MAX,
    "description": "a node, a group or `all`, or a list of them",
}


def _parameter(parameter: Parameter) -> Schema:
    if parameter.quantity is not None:
        return _quantity(parameter.quantity, parameter.help)
    if parameter.words:
        return _words(parameter.words, parameter.help)
    if parameter.is_flag:
        return {"type": "boolean", "description": parameter.help}
    return _list({"type": "array", "items": _NAMED, "minItems": 1}, parameter.help)


def _fault(kind: Kind) -> Schema:
    properties = {name: _parameter(parameter) for name, parameter in kind.parameters.items()}
    required = [name for name, parameter in kind.parameters.items() if parameter.is_required]
    found = _object(properties, kind.help, required)
    types = ["object"] if required and not kind.shorthand else ["object", "null"] if not required else ["object"]
    if not kind.shorthand:
        return found | {"type": types}
    short = properties[kind.shorthand]
    if "enum" in short:
        return {"description": kind.help, "if": {"type": "string"}, "then": short, "else": found}
    return found | {
        "type": [*types, "string", "number"],
        "pattern": short["pattern"],
        "minimum": 0,
        "$comment": short["$comment"],
    }


def _links() -> Schema:
    fields = {name: _setting(name) for name in SETTINGS}
    ends = {"from": _NAMED, "to": _NAMED, "both": {"type": "boolean", "description": "also the way back; default true"}}
    return _object(
        {
            "preset": _words(tuple(PRESETS), "what every link is like, to begin with"),
            "all": _object(fields, "settings of every link, on top of the preset"),
            "rules": _list(_object(ends | fields, "settings of some links, on top of the others"), "link by link"),
        },
        "the network between the nodes, before anything is broken",
    )


def _setting(name: str) -> Schema:
    setting = SETTINGS[name]
    if setting.words:
        return _words(setting.words, setting.help)
    if setting.quantity is not None:
        return _quantity(setting.quantity, setting.help)
    parameters = KINDS["bursts"].parameters
    return _object({key: _parameter(one) for key, one in parameters.items()}, setting.help, ("p", "r"))


def _probe(extra: Mapping[str, Schema] | None = None, required: Sequence[str] = ()) -> Schema:
    return _object(
        {**_PROBE_FIELDS, **(extra or {})}, "one question: prom, state, http, log or peers, and a comparison", required
    )


_PROBE_FIELDS: Mapping[str, Schema] = {
    "peers": {
        "enum": ["all", None],
        "description": "active peers of each node; compared with the number of the others if nothing else is said",
    },
    "prom": {
        "type": "string",
        "maxLength": TEXT_MAX,
        "description": "a PromQL expression; every value it has must hold",
    },
    "state": {
        "type": "string",
        "maxLength": TEXT_MAX,
        "description": "a dotted path in a node's statistics, such as gossip_stats.delivered",
    },
    "http": {"type": "string", "pattern": "^/", "description": "a path of the HTTP API; the number is the status"},
    "log": {
        "type": "string",
        "maxLength": TEXT_MAX,
        "description": "a regular expression; the number is that of the lines since the run began",
    },
    "target": _NAMED,
    "aggregate": _words(("min", "max", "sum", "mean"), "how the answers of several nodes become one number"),
    **{
        word: {"type": "number", "description": f"the number must be {word.replace('_', ' ')} this"}
        for word in COMPARISONS
    },
}


def _entry() -> Schema:
    target = {
        "type": ["string", "array", "object"],
        "items": _NAMED,
        "minItems": 1,
        "properties": {
            "pick": {"type": "integer", "minimum": 1, "description": "so many, by chance"},
            "share": _quantity(SOME, "that share of them, by chance, at least one"),
            "from": _NAMES,
        },
        "additionalProperties": False,
        "description": "whom it hits: names, or {pick: 2, from: us}, or {share: 33%}",
    }
    common = {
        "at": _quantity(DURATION, "when it begins, after the steady state was found"),
        "id": _NAME | {"description": "its name in expectations and reports"},
        "for": _quantity(DURATION, "how long it lasts"),
        "target": target,
        "peers": _NAMES,
        "direction": _words(tuple(one.value for one in Direction), "which packets of the target"),
    }
    return _object(common | {name: _fault(kind) for name, kind in KINDS.items()}, "one fault", ("at",))


def _expectation() -> Schema:
    fault = _NAME | {"description": "the id of a fault"}
    probes = {
        "type": ["object", "array"],
        "items": _probe(),
        **{key: value for key, value in _probe().items() if key != "type"},
    }
    return _object(
        {
            "detect": fault,
            "recover": fault,
            "hold": fault,
            "when": probes,
            "to": _words(("steady",), "recovered is who is steady again"),
            "within": _quantity(DURATION, "time that it may take"),
        },
        "what a fault must lead to",
    )


def _invariant() -> Schema:
    plain = [name for name in INVARIANTS if name != "rss_below"]
    return {
        "description": "; ".join(f"{name}: {text}" for name, text in INVARIANTS.items()),
        "if": {"type": "object"},
        "then": _object({"rss_below": _quantity(BYTES, INVARIANTS["rss_below"])}, "", ("rss_below",)),
        "else": {"enum": plain, "$comment": f"one of {', '.join(plain)}, {{rss_below: 150MiB}}"},
    }


def _schema() -> Schema:
    topology = _object(
        {
            "nodes": {"type": "integer", "minimum": 2, "maximum": 1000, "description": "nodes, the seed included"},
            "groups": {
                "type": "object",
                "propertyNames": _NAME,
                "additionalProperties": {"type": "integer", "minimum": 1},
                "description": "sizes of named groups, taken in order; one with the name of a region stands there",
            },
            "settings": {"type": "object", "description": "settings of every node, as in docs/CONFIGURATION.md"},
        },
        "who takes part",
    )
    load = _object(
        {
            "publish": _quantity(FREQUENCY, "messages published by all senders together"),
            "size": _quantity(MESSAGE, "bytes of each"),
            "from": _NAMED,
        },
        "messages that are published all the while",
    )
    text = {"type": "string", "maxLength": TEXT_MAX}
    properties = {
        "schema": {"const": 1, "description": "version of this format"},
        "title": text | {"description": "one line: what is shown"},
        "description": text | {"description": "why, and what to look at"},
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": SEED_MAX,
            "description": "of everything that is left to chance",
        },
        "runners": _list(_words(RUNNERS, "where it can run"), "where it can run; default: everywhere")
        | {"minItems": 1},
        "topology": topology,
        "links": _links(),
        "backend": _words(BACKENDS, "what impairs the links; auto takes the first that works"),
        "load": load,
        "steady": _list(_probe(), "what must hold before the first fault and again after the last one"),
        "timeline": _list(_entry(), "what is broken when"),
        "expect": _list(_expectation(), "what that must lead to"),
        "invariants": _list(_invariant(), "what must hold whatever happens"),
        "collect": _list(_words(COLLECTED, "what is kept"), "what is kept of the run"),
        "settle": _quantity(DURATION, "time that the network has to become steady"),
        "limit": _quantity(DURATION, "time that the whole run may take"),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Positron Testnet scenario",
        **_object(properties, "a chaos scenario; docs/CHAOS.md explains every key", ("schema", "title", "timeline")),
    }


SCHEMA = _schema()


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(SCHEMA, indent=2) + "\n")
