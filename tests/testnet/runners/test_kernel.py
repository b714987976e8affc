from __future__ import annotations

import json
from typing import Any

import pytest

from node.impairment.link import GilbertElliott, LinkSettings, LossAt, Order
from node.impairment.plain import to_plain
from node.testnet.errors import NotApplied
from node.testnet.runners.kernel import compare, for_node, left_to_node, queue_limit, table, words
from node.types import MILLISECOND

HOST, OTHER = "10.64.1.11", "10.64.1.12"
PARENT = "504e:10b"


def text(**settings: Any) -> str:
    return " ".join(words(LinkSettings(**settings)))


def test_every_value_is_said_each_time_because_a_change_in_place_keeps_what_it_is_not_told() -> None:
    assert text() == "limit 1000 delay 0us 0us loss random 0.000000% corrupt 0.000000% rate 0bit"


def test_jitter_that_keeps_order_has_a_rate_that_nothing_reaches_and_one_that_may_reorder_has_none() -> None:
    jitter = {"delay": 20 * MILLISECOND, "jitter": 5 * MILLISECOND}
    assert text(**jitter, order=Order.KEEP).endswith("rate 1000000000000bit")
    assert text(**jitter, order=Order.NATURAL).endswith("rate 0bit")
    assert text(**jitter, order=Order.KEEP, rate=125_000).endswith("rate 1000000bit")


def test_losses_never_have_a_correlation_and_bursts_take_the_independent_ones_in() -> None:
    assert "loss random 20.000000% corrupt" in text(loss=0.2)
    bursts = GilbertElliott(p=0.01, r=0.2, loss_bad=0.5)
    both = text(loss=0.1, bursts=bursts)
    assert "loss gemodel 1.000000% 20.000000% 55.000000% 10.000000% corrupt" in both


def test_reordering_needs_a_delay_to_skip() -> None:
    assert "reorder 5.000000%" in text(reorder=0.05, delay=MILLISECOND)
    assert "reorder" not in text(reorder=0.05)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        (LinkSettings(), 1000),
        (LinkSettings(delay=200 * MILLISECOND), 35_715),
        (LinkSettings(delay=200 * MILLISECOND, rate=1_000_000), 1000),
        (LinkSettings(delay=60_000 * MILLISECOND), 1_000_000),
        (LinkSettings(delay=200 * MILLISECOND, limit=40), 40),
    ],
)
def test_a_queue_holds_twice_what_is_under_way_unless_its_size_was_asked_for(
    settings: LinkSettings, limit: int
) -> None:
    assert queue_limit(settings) == limit


def test_what_netem_does_not_have_stays_with_the_node() -> None:
    settings = LinkSettings(loss=0.1, delay=MILLISECOND, duplicate=0.2, mtu=1200)
    assert left_to_node(settings) == LinkSettings(duplicate=0.2, mtu=1200)
    assert left_to_node(LinkSettings(loss=0.1, loss_at=LossAt.EXIT)).loss == 0.1


def test_a_table_adds_the_faults_to_the_links_of_every_peer() -> None:
    links = {"names": {HOST: "node-1", OTHER: "node-2"}, "hosts": {HOST: {"delay": MILLISECOND}}}
    fault = {"hosts": [HOST], "settings": {"loss": 1.0}}
    found = table(links, [fault])
    assert (found[HOST].delay, found[HOST].loss) == (MILLISECOND, 1.0)
    assert found[OTHER] == LinkSettings()


def test_a_node_still_hears_of_faults_that_the_kernel_carries_out() -> None:
    body = {"step": "f", "kind": "loss", "seconds": 1.0, "hosts": [HOST], "settings": to_plain(LinkSettings(loss=0.3))}
    assert for_node("faults", body) == body | {"settings": {}}
    links = {"names": {HOST: "node-1"}, "hosts": {HOST: {"loss": 0.1}, OTHER: {"duplicate": 0.1}}}
    assert for_node("links", links)["hosts"] == {OTHER: {"duplicate": 0.1}}
    assert for_node("afflict", {"kind": "clock"}) == {"kind": "clock"}


def shown(parent: str = PARENT, **options: Any) -> str:
    """As `tc -j qdisc show` says it."""
    tree = {"kind": "htb", "handle": "504e:", "root": True, "options": {}}
    return json.dumps([tree, {"kind": "netem", "handle": "8001:", "parent": parent, "options": options}])


def test_what_the_kernel_has_is_what_was_asked() -> None:
    asked = LinkSettings(loss=0.2, delay=20 * MILLISECOND, jitter=MILLISECOND, rate=125_000)
    options: dict[str, Any] = {
        "limit": 1000,
        "delay": {"delay": 0.02, "jitter": 0.001, "correlation": 0},
        "loss-random": {"loss": 0.2, "correlation": 0},
        "rate": {"rate": 125_000},
    }
    compare({HOST: asked}, shown(**options))
    bursts = LinkSettings(bursts=GilbertElliott(p=0.01, r=0.2))
    model = {"p": 0.01, "r": 0.2, "1-h": 1.0, "1-k": 0.0}
    of_bursts: dict[str, Any] = {"limit": 1000, "loss-gemodel": model}
    compare({HOST: bursts}, shown(**of_bursts))


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"limit": 1000}, "loss"),
        ({"limit": 1000, "loss-random": {"loss": 0.2, "correlation": 0.75}}, "correlation of losses"),
        ({"limit": 10, "loss-random": {"loss": 0.2}}, "limit"),
        ({"limit": 1000, "loss-random": {"loss": 0.2}, "delay": {"delay": 0.1}}, "delay"),
    ],
)
def test_anything_else_is_not_applied(options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(NotApplied, match=rf"10\.64\.1\.11: the kernel has another {wrong} than was asked"):
        compare({HOST: LinkSettings(loss=0.2)}, shown(**options))


def test_a_qdisc_that_is_not_there_and_an_answer_that_is_none_are_not_applied() -> None:
    with pytest.raises(NotApplied, match="no netem is there"):
        compare({HOST: LinkSettings()}, shown("504e:1"))
    for answer in ("", "[1]", "Error: no"):
        with pytest.raises(NotApplied, match="cannot be read"):
            compare({HOST: LinkSettings()}, answer)
