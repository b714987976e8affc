"""Settings of links: what people write, and what several demands come to."""

from __future__ import annotations

import pytest

from node.impairment.link import GilbertElliott, Order
from node.testnet.scenario.links import (
    CLEAN,
    PRESETS,
    SETTINGS,
    described,
    parse_settings,
)
from node.testnet.scenario.quantities import BadQuantity
from node.types import MILLISECOND

WRITTEN = {
    "loss": "5%",
    "delay": "20ms",
    "jitter": "5ms",
    "order": "natural",
    "rate": "10mbit",
    "bursts": {"p": "1%", "r": "20%"},
    "mtu": "1200",
}


def test_settings_are_read_into_the_model_that_all_backends_share() -> None:
    settings = parse_settings(WRITTEN)
    assert settings.loss == 0.05
    assert (settings.delay, settings.jitter, settings.order) == (20 * MILLISECOND, 5 * MILLISECOND, Order.NATURAL)
    assert settings.rate == 1_250_000
    assert settings.bursts == GilbertElliott(p=0.01, r=0.2)
    assert settings.mtu == 1200


def test_what_is_described_is_read_back_as_it_was() -> None:
    settings = parse_settings(WRITTEN)
    assert parse_settings(described(settings)) == settings
    assert described(CLEAN) == {}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"los": "5%"}, "los: '5%': allowed is one of loss, bursts"),
        ({"loss": "150%"}, "loss: '150%': allowed is a share from 0% to 100%"),
        ({"jitter": "5ms"}, "jitter: '5ms': allowed is at most delay"),
        ({"order": "random"}, "order: 'random': allowed is keep or natural"),
        ({"bursts": {"p": 0.1}}, "bursts: .*allowed is a mapping"),
        ({"bursts": {"p": 0.1, "r": 0}}, "a burst never ends"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_name(fields: dict[str, object], text: str) -> None:
    with pytest.raises(BadQuantity, match=text):
        parse_settings(fields)


def test_the_queue_holds_what_is_under_way_and_what_waits() -> None:
    slow = parse_settings({"delay": "200ms", "rate": "8mbit", "queue": "14000B"})
    assert 10 + 2 * 142 <= slow.limit <= 10 + 2 * 143
    fast = parse_settings({"delay": "200ms"})
    assert fast.limit > 2 * 17_000, "a link without a rate must not drop what it delays"


def test_every_setting_and_preset_is_usable() -> None:
    assert set(SETTINGS) >= {"loss", "bursts", "delay", "jitter", "order", "rate", "queue", "mtu"}
    for settings in PRESETS.values():
        assert settings.delay > 0
