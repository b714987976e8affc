from __future__ import annotations

from typing import Any

import pytest

from node.testnet.runners.ingress import SHARE_MIN, Drop, drops, for_node, line

HOSTS = {"seed": "10.64.1.10", "node-1": "10.64.1.11", "node-2": "10.64.1.12"}
BAD = {"loss": 0.2, "delay": 20_000_000, "loss_at": "exit"}


Told = tuple[str, dict[str, Any]]


def fault(settings: dict[str, object], *hosts: str, seconds: float = 8.0) -> Told:
    return "faults", {"step": "x", "kind": "loss", "settings": settings, "hosts": list(hosts), "seconds": seconds}


def test_each_order_of_each_sender_is_a_drop_of_its_own() -> None:
    links: Told = ("links", {"hosts": {HOSTS["node-1"]: BAD}, "names": {}})
    orders = {"seed": [links, fault({"loss": 0.5}, HOSTS["node-1"])], "node-2": [fault({"loss": 1.0}, HOSTS["seed"])]}
    assert drops(orders, HOSTS, "node-1") == [
        Drop(sender="seed", host=HOSTS["seed"], share=0.2),
        Drop(sender="seed", host=HOSTS["seed"], share=0.5, order="x", seconds=8.0),
    ]
    assert [drop.sender for drop in drops(orders, HOSTS, "seed")] == ["node-2"]
    assert drops(orders, HOSTS, "node-2") == []


def test_what_is_no_loss_and_what_is_too_small_to_draw_is_no_drop() -> None:
    orders = {"seed": [fault({"delay": 1_000}, HOSTS["node-1"]), fault({"loss": SHARE_MIN / 2}, HOSTS["node-1"])]}
    assert drops(orders, HOSTS, "node-1") == []


@pytest.mark.parametrize(
    ("drop", "text"),
    [
        (Drop(sender="seed", host="10.64.1.10", share=1.0, seconds=8.25), "10.64.1.10 seed 1000000 8250"),
        (Drop(sender="node-1", host="10.64.1.11", share=0.2), "10.64.1.11 node-1 200000 -"),
    ],
)
def test_a_drop_is_a_line(drop: Drop, text: str) -> None:
    assert line(drop) == text


def test_a_fault_that_is_all_but_over_still_has_an_end() -> None:
    (drop,) = drops({"seed": [fault({"loss": 1.0}, HOSTS["node-1"], seconds=0.0)]}, HOSTS, "node-1")
    assert line(drop).endswith(" 1")


def test_the_sender_keeps_what_is_no_loss_and_knows_of_the_fault() -> None:
    command, body = fault(BAD, HOSTS["node-1"])
    assert for_node(command, body) == body | {"settings": {"delay": 20_000_000}}
    hosts = {HOSTS["node-1"]: BAD, HOSTS["node-2"]: {"loss": 1.0}}
    assert for_node("links", {"hosts": hosts})["hosts"] == {HOSTS["node-1"]: {"delay": 20_000_000}}
    assert for_node("mark", {"step": "x"}) == {"step": "x"}
