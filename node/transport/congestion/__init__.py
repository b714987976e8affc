"""Congestion controllers behind one interface (`base.Controller`), chosen by name."""

from __future__ import annotations

from collections.abc import Callable

from node.errors import UsageError
from node.transport.congestion.base import Controller
from node.transport.congestion.cubic import Cubic
from node.transport.congestion.lossfloor import LossFloor
from node.transport.congestion.newreno import NewReno

__all__ = ["CONTROLLERS", "new_controller"]

_FACTORIES: dict[str, Callable[[int], Controller]] = {"newreno": NewReno, "cubic": Cubic, "lossfloor": LossFloor}

CONTROLLERS = tuple(_FACTORIES)
"""The names that `new_controller` knows."""


def new_controller(name: str, packet_bytes: int) -> Controller:
    """A controller for a path whose largest packet has that many bytes; UsageError for a name nobody has."""
    try:
        return _FACTORIES[name](packet_bytes)
    except KeyError:
        raise UsageError(f"congestion {name!r}: allowed are {', '.join(CONTROLLERS)}") from None
