"""Bad links within a node: by destination, for a time, and with fates that repeat."""

from __future__ import annotations

import pytest

from node.errors import UsageError
from node.impairment.link import LinkSettings
from node.impairment.wire import DEMANDS_MAX, Demand, Wire
from node.types import MILLISECOND, SECOND

A, B = ("127.0.0.1", 1000), ("127.0.0.2", 1000)
LOSSY = LinkSettings(loss=0.3)
CUT = LinkSettings(loss=1.0)


def wire(seed: str = "7") -> Wire:
    return Wire(seed=seed, name="node-1")


def fates(one: Wire, count: int = 200, *, at: int = 0) -> list[bool]:
    return [bool(one.send(A, b"x", at)) for _ in range(count)]


def test_a_clean_wire_passes_everything_on_at_once() -> None:
    one = wire()
    assert one.is_clean
    assert [arrival.at for arrival in one.send(A, b"x", 5)] == [5]


def test_each_host_has_the_link_that_it_was_given() -> None:
    one = wire()
    one.set_base({A[0]: LinkSettings(delay=MILLISECOND)}, LinkSettings(), {})
    assert one.send(A, b"x", 0)[0].at == MILLISECOND
    assert one.send(B, b"x", 0)[0].at == 0


def test_a_demand_adds_to_the_link_of_its_hosts_and_of_no_other() -> None:
    one = wire()
    one.set_base({}, LinkSettings(delay=MILLISECOND), {})
    one.demand(Demand(step="cut", kind="partition", settings=CUT, hosts=frozenset({A[0]})))
    assert not one.send(A, b"x", 0)
    assert one.send(B, b"x", 0)[0].at == MILLISECOND


def test_a_demand_ends_by_itself() -> None:
    one = wire()
    one.demand(Demand(step="cut", kind="partition", settings=CUT, until=SECOND))
    assert not one.send(A, b"x", SECOND - 1)
    assert one.send(A, b"x", SECOND)
    assert one.active(SECOND) == []
    assert one.is_clean


def test_a_demand_of_the_same_step_takes_the_place_of_the_former() -> None:
    one = wire()
    one.demand(Demand(step="cut", kind="partition", settings=CUT, until=SECOND))
    one.demand(Demand(step="cut", kind="partition", settings=CUT, until=3 * SECOND))
    assert len(one.active(2 * SECOND)) == 1


def test_healing_ends_the_demands_that_are_named_or_all() -> None:
    one = wire()
    for step in ("a", "b", "c"):
        one.demand(Demand(step=step, kind="loss", settings=CUT))
    assert one.heal(["a", "unknown"]) == ["a"]
    assert one.heal() == ["b", "c"]
    assert one.heal() == []
    assert one.send(A, b"x", 0)


def test_the_same_seed_gives_every_packet_the_same_fate_whenever_it_is_sent() -> None:
    first, second, third = wire(), wire(), wire("8")
    for one in (first, second, third):
        one.set_base({}, LOSSY, {})
    assert fates(first) == fates(second, at=5 * SECOND)
    assert fates(first) != fates(third)


def test_packets_to_others_do_not_change_the_fates_of_a_link() -> None:
    first, second = wire(), wire()
    for one in (first, second):
        one.set_base({}, LOSSY, {})
    for _ in range(50):
        second.send(B, b"x", 0)
    assert fates(first) == fates(second)


def test_fates_go_by_the_name_of_the_node_and_not_by_its_address() -> None:
    first, second = wire(), wire()
    first.set_base({}, LOSSY, {A[0]: "node-2"})
    second.set_base({}, LOSSY, {B[0]: "node-2"})
    assert fates(first) == [bool(second.send(B, b"x", 0)) for _ in range(200)]


def test_demands_are_bounded() -> None:
    one = wire()
    for step in range(DEMANDS_MAX):
        one.demand(Demand(step=str(step), kind="loss", settings=LOSSY))
    with pytest.raises(UsageError, match="64"):
        one.demand(Demand(step="more", kind="loss", settings=LOSSY))


def test_what_a_link_did_is_counted() -> None:
    one = wire()
    one.set_base({}, LOSSY, {})
    arrived = sum(fates(one, 1000))
    stats = one.stats()[A[0]]
    assert (stats.offered, stats.lost) == (1000, 1000 - arrived)
    assert 230 < stats.lost < 370
