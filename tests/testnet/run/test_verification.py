"""Links that do what was asked pass, and links that do not are told from them."""

from __future__ import annotations

from random import Random

import pytest

from node.impairment.link import GilbertElliott, Link, LinkSettings, Order, expected_loss
from node.testnet.run.verification import PROBES, verify
from node.testnet.runners.base import LinkCount
from node.types import MILLISECOND, SECOND

NAME = ("seed", "node-1")
NATURAL = LinkSettings(delay=30 * MILLISECOND, jitter=20 * MILLISECOND, order=Order.NATURAL)
KEPT = LinkSettings(delay=30 * MILLISECOND, jitter=20 * MILLISECOND, order=Order.KEEP)


def counted(settings: LinkSettings, seed: int, sent: int = PROBES) -> LinkCount:
    link = Link(settings, Random(seed))
    arrivals = [(at, link.send(b"x", at)) for at in range(0, sent * SECOND // 100, SECOND // 100)]
    delays = tuple((arrival.at - at) / SECOND for at, arrived in arrivals for arrival in arrived[:1])
    return LinkCount(link=NAME, sent=sent, received=len(delays), delays=delays)


def wrong(asked: LinkSettings, count: LinkCount) -> str:
    return verify([count], {NAME: asked})[0].text


@pytest.mark.parametrize(
    "settings",
    [
        LinkSettings(),
        LinkSettings(loss=0.05),
        LinkSettings(loss=0.2, delay=20 * MILLISECOND, jitter=5 * MILLISECOND),
        LinkSettings(loss=1.0),
        LinkSettings(bursts=GilbertElliott(p=0.02, r=0.2)),
        LinkSettings(delay=200 * MILLISECOND),
        NATURAL,
        KEPT,
        LinkSettings(corrupt=0.05),
    ],
)
def test_a_link_that_does_what_was_asked_passes_almost_always(settings: LinkSettings) -> None:
    failed = sum(bool(wrong(settings, counted(settings, seed))) for seed in range(200))
    assert failed <= 6, "1 % and what chance adds to it in 200 tries"


@pytest.mark.parametrize(
    ("asked", "real", "said"),
    [
        (LinkSettings(loss=0.2), LinkSettings(loss=0.00115), "loss"),
        (LinkSettings(loss=0.2), LinkSettings(), "loss 0.0%, asked 20.0%"),
        (LinkSettings(), LinkSettings(loss=0.05), "loss"),
        (LinkSettings(loss=1.0), LinkSettings(loss=0.9), "loss"),
        (LinkSettings(bursts=GilbertElliott(p=0.05, r=0.2)), LinkSettings(), "loss"),
        (LinkSettings(delay=20 * MILLISECOND), LinkSettings(), "delay 0.0 ms, asked 20.0 ms"),
        (LinkSettings(), LinkSettings(delay=5 * MILLISECOND), "delay"),
        (LinkSettings(delay=200 * MILLISECOND), LinkSettings(delay=185 * MILLISECOND), "delay"),
        (NATURAL, LinkSettings(delay=30 * MILLISECOND), "jitter 0.0 ms, asked 20.0 ms"),
        (KEPT, LinkSettings(delay=20 * MILLISECOND), "delay 20.0 ms, asked 30.0 ms"),
        (KEPT, LinkSettings(delay=60 * MILLISECOND), "delay 60.0 ms, asked 30.0 ms"),
        (LinkSettings(corrupt=0.05), LinkSettings(loss=0.15), "loss"),
        (LinkSettings(corrupt=0.05, loss=0.3), LinkSettings(corrupt=0.05), "loss"),
    ],
)
def test_a_link_that_does_something_else_is_found_out(asked: LinkSettings, real: LinkSettings, said: str) -> None:
    assert all(said in wrong(asked, counted(real, seed)) for seed in range(50))


@pytest.mark.parametrize("missing", [0, 3, 15])
def test_a_flipped_bit_may_cost_a_probe_and_need_not(missing: int) -> None:
    count = LinkCount(link=NAME, sent=300, received=300 - missing, delays=(0.0,) * (300 - missing))
    assert not wrong(LinkSettings(corrupt=0.05), count)


def test_a_rate_is_judged_where_it_was_measured() -> None:
    asked = LinkSettings(rate=125_000)
    assert not wrong(asked, LinkCount(link=NAME, sent=10, received=10, delays=(0.5,) * 10, rate=0.95e6))
    assert "rate" in wrong(asked, LinkCount(link=NAME, sent=10, received=10, delays=(0.5,) * 10, rate=5e6))


def test_probes_that_were_never_sent_prove_nothing() -> None:
    assert wrong(LinkSettings(loss=1.0), LinkCount(link=NAME, sent=0, received=0)) == "no probe was sent"


def test_the_loss_of_a_chain_is_that_of_its_states() -> None:
    assert expected_loss(LinkSettings(bursts=GilbertElliott(p=0.01, r=0.2))) == pytest.approx(0.0476, rel=1e-2)
    mixed = LinkSettings(bursts=GilbertElliott(p=0.01, r=0.2, loss_bad=0.7, loss_good=0.001))
    assert expected_loss(mixed) == pytest.approx(0.0342, rel=1e-2)
