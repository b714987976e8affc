"""What links are asked to do: settings as people write them, and presets.

Knows nothing of nodes; `topology.py` says which link gets what. The result is always the one link model that the
simulator and every backend share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from node.impairment.combination import queue_limit
from node.impairment.link import GilbertElliott, LinkSettings, Order
from node.testnet.scenario.quantities import BITS, BYTES, DURATION, SHARE, UDP_PAYLOAD, BadQuantity, Quantity

__all__ = ["CLEAN", "PRESETS", "SETTINGS", "described", "parse_settings"]

CLEAN = LinkSettings()


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a link as people write it. quantity: None for words and mappings, which `words` or code explains."""

    help: str
    quantity: Quantity | None = None
    words: tuple[str, ...] = ()


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "loss": Setting("share of packets lost, each on its own", SHARE),
        "bursts": Setting("loss in bursts: p, r, loss_bad, loss_good of a Gilbert-Elliott chain"),
        "delay": Setting("one-way delay", DURATION),
        "jitter": Setting("variation of the delay, uniform, at most the delay", DURATION),
        "order": Setting("whether jitter may reorder", words=tuple(order.value for order in Order)),
        "reorder": Setting("share of packets that overtake delay and queue", SHARE),
        "duplicate": Setting("share of packets that arrive twice", SHARE),
        "corrupt": Setting("share of packets with one flipped bit", SHARE),
        "rate": Setting("bits per second", BITS),
        "queue": Setting("bytes that wait for the rate; more are dropped", BYTES),
        "mtu": Setting("largest UDP payload carried, in bytes", UDP_PAYLOAD),
    }
)
"""Every field of a link, in the order in which they are shown."""


def parse_settings(fields: Mapping[str, Any]) -> LinkSettings:
    """The settings that those fields ask for, everything else clean; raises BadQuantity naming the field."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            values[name] = _parsed(name, value)
        except BadQuantity as error:
            raise BadQuantity(f"{name}: {value!r}: allowed is {error}") from error
    if values.get("jitter", 0) > values.get("delay", 0):
        raise BadQuantity(
            f"jitter: {fields['jitter']!r}: allowed is at most delay, {fields.get('delay', 'which is 0')}"
        )
    if "queue" in values and "rate" not in values:
        raise BadQuantity(f"queue: {fields['queue']!r}: allowed is a queue for a rate only; nothing waits without one")
    rate = values.pop("rate", 0)
    queue = values.pop("queue", None)
    delay, jitter = values.get("delay", 0), values.get("jitter", 0)
    limit = queue_limit(rate, queue, delay + 3 * jitter)
    return LinkSettings(**values, rate=rate, limit=limit)


def described(settings: LinkSettings) -> dict[str, str | dict[str, float]]:
    """The settings as people would write them; what is clean is left out. `parse_settings` takes it back."""
    words: dict[str, str | dict[str, float]] = {}
    for name in ("loss", "reorder", "duplicate", "corrupt"):
        if getattr(settings, name):
            words[name] = SHARE.show(getattr(settings, name))
    for name in ("delay", "jitter"):
        if getattr(settings, name):
            words[name] = DURATION.show(getattr(settings, name))
    if settings.jitter and settings.order is not Order.KEEP:
        words["order"] = settings.order.value
    if settings.bursts is not None:
        chain = settings.bursts
        words["bursts"] = {"p": chain.p, "r": chain.r, "loss_bad": chain.loss_bad, "loss_good": chain.loss_good}
    if settings.rate:
        words["rate"] = BITS.show(settings.rate * 8)
    if settings.mtu != CLEAN.mtu:
        words["mtu"] = BYTES.show(settings.mtu)
    return words


def _parsed(name: str, value: object) -> object:
    setting = SETTINGS.get(name)
    if setting is None:
        raise BadQuantity(f"one of {', '.join(SETTINGS)}")
    if name == "bursts":
        return _bursts(value)
    if setting.words:
        if value not in setting.words:
            raise BadQuantity(" or ".join(setting.words))
        return Order(value)
    assert setting.quantity is not None
    number = setting.quantity.parse(value)
    if name == "rate":
        return round(number / 8)
    return number if setting.quantity is SHARE else round(number)


def _bursts(value: object) -> GilbertElliott:
    allowed = "a mapping with the shares p and r, and loss_bad and loss_good if not 1 and 0"
    if not isinstance(value, Mapping) or not {"p", "r"} <= set(value) <= {"p", "r", "loss_bad", "loss_good"}:
        raise BadQuantity(allowed)
    shares = {str(name): SHARE.parse(share) for name, share in value.items()}
    if not shares["r"]:
        raise BadQuantity(f"{allowed}; with r = 0 a burst never ends")
    return GilbertElliott(**shares)


def _preset(**fields: object) -> LinkSettings:
    return parse_settings(fields)


PRESETS: Mapping[str, LinkSettings] = MappingProxyType(
    {
        # WebPageTest's connectivity profiles, half of the round trip each way, the rate of the way up.
        "dsl": _preset(delay="25ms", rate="384kbit", queue="64KiB"),
        "lte": _preset(delay="35ms", jitter="5ms", rate="12mbit", queue="512KiB"),
        "3g": _preset(delay="150ms", jitter="20ms", rate="768kbit", queue="128KiB"),
        # A shared channel: short, with collisions that come in bursts.
        "wifi": _preset(delay="3ms", jitter="2ms", bursts={"p": 0.005, "r": 0.3}, rate="50mbit", queue="256KiB"),
        # A geostationary orbit is 35,786 km high: 240 ms up and down, and the ground stations.
        "satellite": _preset(delay="300ms", loss="0.5%", rate="5mbit", queue="512KiB"),
        # Published measurements of a low orbit: 40 to 60 ms round trip, about 1 % loss, in bursts at handovers.
        "starlink": _preset(delay="25ms", jitter="8ms", bursts={"p": 0.002, "r": 0.2}, rate="20mbit", queue="512KiB"),
    }
)
"""Each direction of a link of that kind."""
