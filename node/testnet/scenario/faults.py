"""Every kind of fault: what it takes, whom it hits, and what cannot happen to one node at the same time.

One table, from which the schema, `lint`, the help of `testnet fault` and the documentation are made. How a fault is
brought about is the runners' affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from node.testnet.scenario.links import SETTINGS
from node.testnet.scenario.quantities import (
    BYTES,
    DURATION,
    FREQUENCY,
    MEMORY,
    PERIOD,
    SHARE,
    SOME,
    UDP_PAYLOAD,
    Quantity,
)

__all__ = ["KINDS", "SHAPES", "Kind", "Parameter", "Scope"]


class Scope(StrEnum):
    """What a fault acts on."""

    LINKS = "links"
    NODES = "nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of a fault: a quantity, one of some words, true or false, or a list of lists of nodes."""

    help: str
    quantity: Quantity | None = None
    words: tuple[str, ...] = ()
    is_flag: bool = False
    is_groups: bool = False
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fault.

    parameters: in the order of the documentation. shorthand: the parameter that a bare value sets. exclusive: faults
    of one such name cannot overlap on one node; "" for those that add up. has_end: whether it lasts and so must have
    a limit. needs_target: whether somebody must be named.
    """

    help: str
    scope: Scope
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    shorthand: str = ""
    exclusive: str = ""
    has_end: bool = True
    needs_target: bool = True


SHAPES = ("one", "halves", "majority", "third", "ring", "one-way", "groups")

_EVERY = Parameter(help="time between two nodes", quantity=PERIOD)
_DOWN = Parameter(help="time that each node is down", quantity=PERIOD)
_LOSE_STATE = Parameter(help="whether the node comes back without its state, the key excepted", is_flag=True)


def _share(name: str) -> Mapping[str, Parameter]:
    return {"share": Parameter(help=SETTINGS[name].help, quantity=SHARE, is_required=True)}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "loss": Kind(
            help="lose packets, each on its own", scope=Scope.LINKS, parameters=_share("loss"), shorthand="share"
        ),
        "bursts": Kind(
            help="lose packets in bursts (Gilbert-Elliott)",
            scope=Scope.LINKS,
            parameters={
                "p": Parameter(help="share of packets at which a burst begins", quantity=SHARE, is_required=True),
                "r": Parameter(help="share of packets at which it ends", quantity=SHARE, is_required=True),
                "loss_bad": Parameter(help="share lost within bursts, 1 by default", quantity=SHARE),
                "loss_good": Parameter(help="share lost between bursts, 0 by default", quantity=SHARE),
            },
        ),
        "delay": Kind(
            help="delay packets",
            scope=Scope.LINKS,
            parameters={
                "delay": Parameter(help=SETTINGS["delay"].help, quantity=DURATION, is_required=True),
                "jitter": Parameter(help=SETTINGS["jitter"].help, quantity=DURATION),
                "order": Parameter(help=SETTINGS["order"].help, words=SETTINGS["order"].words),
            },
            shorthand="delay",
        ),
        "reorder": Kind(
            help="let packets overtake others", scope=Scope.LINKS, parameters=_share("reorder"), shorthand="share"
        ),
        "duplicate": Kind(
            help="deliver packets twice", scope=Scope.LINKS, parameters=_share("duplicate"), shorthand="share"
        ),
        "corrupt": Kind(
            help="flip a bit in packets", scope=Scope.LINKS, parameters=_share("corrupt"), shorthand="share"
        ),
        "rate": Kind(
            help="limit the rate",
            scope=Scope.LINKS,
            parameters={
                "rate": Parameter(help="bits per second", quantity=SETTINGS["rate"].quantity, is_required=True),
                "queue": Parameter(help=SETTINGS["queue"].help, quantity=BYTES),
            },
            shorthand="rate",
        ),
        "mtu": Kind(
            help="drop packets above a size, without a word",
            scope=Scope.LINKS,
            parameters={"mtu": Parameter(help=SETTINGS["mtu"].help, quantity=UDP_PAYLOAD, is_required=True)},
            shorthand="mtu",
        ),
        "partition": Kind(
            help="cut the network into parts that do not hear each other",
            scope=Scope.LINKS,
            parameters={
                "shape": Parameter(help="who is cut from whom", words=SHAPES, is_required=True),
                "groups": Parameter(help="the parts, for the shape groups", is_groups=True),
            },
            shorthand="shape",
            needs_target=False,
        ),
        "flap": Kind(
            help="cut and restore links over and over",
            scope=Scope.LINKS,
            parameters={
                "up": Parameter(help="time that the link works, 1 s by default", quantity=PERIOD),
                "down": Parameter(help="time that it does not, 1 s by default", quantity=PERIOD),
            },
        ),
        "kill": Kind(
            help="kill nodes and start them again at the end",
            scope=Scope.NODES,
            parameters={"lose_state": _LOSE_STATE},
            exclusive="process",
        ),
        "stop": Kind(
            help="stop nodes in order and start them again at the end",
            scope=Scope.NODES,
            parameters={"lose_state": _LOSE_STATE},
            exclusive="process",
        ),
        "pause": Kind(help="freeze nodes", scope=Scope.NODES, exclusive="process"),
        "restart": Kind(help="restart nodes at once", scope=Scope.NODES, exclusive="process", has_end=False),
        "rolling_restart": Kind(
            help="restart one node after the other",
            scope=Scope.NODES,
            parameters={"every": _EVERY},
            shorthand="every",
            exclusive="process",
            needs_target=False,
        ),
        "churn": Kind(
            help="kill and restart random nodes over and over",
            scope=Scope.NODES,
            parameters={"every": _EVERY, "down": _DOWN, "lose_state": _LOSE_STATE},
            shorthand="every",
            exclusive="process",
            needs_target=False,
        ),
        "cpu": Kind(
            help="leave nodes a share of a processor",
            scope=Scope.NODES,
            parameters={"share": Parameter(help="share of one processor", quantity=SOME, is_required=True)},
            shorthand="share",
            exclusive="cpu",
        ),
        "memory": Kind(
            help="leave nodes so much memory; what needs more is killed and started again",
            scope=Scope.NODES,
            parameters={"limit": Parameter(help="bytes", quantity=MEMORY, is_required=True)},
            shorthand="limit",
            exclusive="memory",
        ),
        "disk_full": Kind(help="let every write of state fail", scope=Scope.NODES, exclusive="disk"),
        "clock": Kind(
            help="set the wall clock of nodes wrong",
            scope=Scope.NODES,
            parameters={
                "ahead": Parameter(help="how far ahead", quantity=DURATION),
                "behind": Parameter(help="how far behind", quantity=DURATION),
                "drift": Parameter(help="how much faster it runs", quantity=SHARE),
            },
            exclusive="clock",
        ),
        "dns": Kind(help="let no name be resolved", scope=Scope.NODES, exclusive="dns"),
        "nat_rebind": Kind(
            help="give nodes another UDP port, as a router that forgot them", scope=Scope.NODES, has_end=False
        ),
        "hostile": Kind(
            help="let nodes misbehave",
            scope=Scope.NODES,
            parameters={
                "behaviour": Parameter(
                    help="flood: garbage and valid messages without measure; replay: old messages again; "
                    "bad_signature: forged messages; silent_dropper: takes part and passes nothing on",
                    words=("flood", "replay", "bad_signature", "silent_dropper"),
                    is_required=True,
                ),
                "rate": Parameter(help="messages per second, 100 by default", quantity=FREQUENCY),
            },
            shorthand="behaviour",
            exclusive="hostile",
        ),
    }
)
