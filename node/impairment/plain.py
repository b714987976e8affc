"""Settings of links as plain values that JSON can hold, and back: what a controller sends to a node.

Durations are nanoseconds, rates bytes per second, shares from 0 to 1; what is clean is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from node.errors import UsageError
from node.impairment.link import GilbertElliott, LinkSettings, LossAt, Order

__all__ = ["Plain", "from_plain", "to_plain"]

Plain = dict[str, "int | float | str | dict[str, float]"]

_CLEAN = LinkSettings()
_NAMES = tuple(field.name for field in fields(LinkSettings))
_SHARES = ("loss", "reorder", "duplicate", "corrupt")
_WORDS: Mapping[str, type[Order] | type[LossAt]] = {"order": Order, "loss_at": LossAt}
_WHOLE = ("delay", "jitter", "ce_threshold", "rate", "overhead", "limit", "mtu")


def to_plain(settings: LinkSettings) -> Plain:
    """The settings that differ from a clean link's."""
    plain: Plain = {}
    for name in _NAMES:
        value = getattr(settings, name)
        if value == getattr(_CLEAN, name):
            continue
        if isinstance(value, GilbertElliott):
            plain[name] = {part.name: getattr(value, part.name) for part in fields(GilbertElliott)}
        else:
            plain[name] = value.value if isinstance(value, Order | LossAt) else value
    return plain


def from_plain(plain: object) -> LinkSettings:
    """The settings in that value; UsageError names what is wrong with it."""
    if not isinstance(plain, Mapping):
        raise UsageError(f"settings {plain!r}: allowed is an object")
    unknown = [str(name) for name in plain if name not in _NAMES]
    if unknown:
        raise UsageError(f"settings have no {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    return LinkSettings(**{str(name): _value(str(name), value) for name, value in plain.items()})


def _value(name: str, value: object) -> Any:
    if name in _SHARES:
        return _number(name, value)
    if name in _WHOLE:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
            raise UsageError(f"{name} {value!r}: allowed is a whole number from 0")
        return value
    if name in _WORDS:
        words = [word.value for word in _WORDS[name]]
        if value not in words:
            raise UsageError(f"{name} {value!r}: allowed is {' or '.join(words)}")
        return _WORDS[name](value)
    if name == "bursts":
        if not isinstance(value, Mapping) or not set(value) <= {"p", "r", "loss_bad", "loss_good"}:
            raise UsageError(f"bursts {value!r}: allowed is an object with p, r, loss_bad, loss_good")
        if not {"p", "r"} <= set(value):
            raise UsageError("bursts need p and r")
        return GilbertElliott(**{str(part): _number(f"bursts.{part}", share) for part, share in value.items()})
    raise UsageError(f"{name}: not a setting of links that can be sent")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UsageError(f"{name} {value!r}: allowed is a number from 0 to 1")
    return float(value)
