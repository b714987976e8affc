"""Times, shares, rates and sizes as people write them in scenarios and on the command line.

Knows nothing of where a value stands; whoever asks adds the file, the line and the field to the error. Numbers without
a unit are seconds, shares of one, bits per second, bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from node.types import MICROSECOND, MILLISECOND, SECOND

__all__ = [
    "BITS",
    "BYTES",
    "DURATION",
    "FREQUENCY",
    "MEMORY",
    "MESSAGE",
    "PERIOD",
    "SHARE",
    "SOME",
    "UDP_PAYLOAD",
    "BadQuantity",
    "Quantity",
]


class BadQuantity(ValueError):
    """The value is none of that quantity; the text says what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One kind of quantity.

    units: factor of each unit, in the unit of the results; the empty name is that of a bare number. low, high: the
    range of results, both included. example: what people write.
    """

    name: str
    units: Mapping[str, float]
    low: float
    high: float
    example: str

    @property
    def allowed(self) -> str:
        """What is accepted, as the end of the sentence `allowed is ...`."""
        named = ", ".join(unit for unit in self.units if unit)
        return (
            f"{self.name} from {self.show(self.low)} to {self.show(self.high)} (units: {named}), such as {self.example}"
        )

    @property
    def pattern(self) -> str:
        """A regular expression of what is written, for JSON Schema."""
        units = "|".join(re.escape(unit) for unit in self.units if unit)
        return rf"^\d+(\.\d+)?\s?({units}){'?' if '' in self.units else ''}$"

    def parse(self, value: object) -> float:
        """The quantity in its base unit; raises BadQuantity."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise BadQuantity(self.allowed)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s?([A-Za-z/%µ]*)", str(value).strip())
        factor = self.units.get(match[2]) if match is not None else None
        if match is None or factor is None:
            raise BadQuantity(self.allowed)
        result = float(match[1]) * factor
        if not self.low <= result <= self.high:
            raise BadQuantity(self.allowed)
        return result

    def show(self, value: float) -> str:
        """A value of the base unit, in the largest unit that leaves it at one or more."""
        fitting = [(factor, unit) for unit, factor in self.units.items() if unit and value >= factor]
        factor, unit = max(fitting, default=min((factor, unit) for unit, factor in self.units.items() if unit))
        return f"{value / factor:.6g}{unit}"


DURATION = Quantity(
    name="a time",
    units={"us": MICROSECOND, "ms": MILLISECOND, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "": SECOND},
    low=0,
    high=24 * 3600 * SECOND,
    example="20ms",
)
"""Nanoseconds."""

PERIOD = replace(DURATION, low=10 * MILLISECOND, example="2s")
"""Nanoseconds of what happens again and again."""

SHARE = Quantity(name="a share", units={"%": 0.01, "": 1.0}, low=0.0, high=1.0, example="5%")
"""From 0 to 1."""

SOME = replace(SHARE, low=0.01, example="20%")
"""From 0.01 to 1: for what nothing of is something else."""

BITS = Quantity(
    name="a rate",
    units={"bit": 1, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9, "": 1},
    low=8e3,
    high=1e11,
    example="10mbit",
)
"""Bits per second."""

BYTES = Quantity(
    name="a size",
    units={"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "": 1},
    low=0,
    high=1 << 36,
    example="2KiB",
)

MEMORY = replace(BYTES, low=6 << 20, example="64MiB")
"""Bytes; engines of containers take no less."""

MESSAGE = replace(BYTES, high=256 << 10)
"""Bytes of a broadcast, which nodes limit."""

UDP_PAYLOAD = replace(BYTES, low=64, high=65_507, example="1200B")
"""Bytes."""

FREQUENCY = Quantity(name="a frequency", units={"/s": 1.0, "/m": 1 / 60, "": 1.0}, low=0.0, high=10000.0, example="5/s")
"""Per second."""
