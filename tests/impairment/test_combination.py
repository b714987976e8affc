"""Demands on links, added up."""

from __future__ import annotations

import pytest

from node.impairment.combination import combined, queue_limit
from node.impairment.link import LinkSettings, Order
from node.types import MILLISECOND

CLEAN = LinkSettings()


def test_demands_add_up_as_links_in_a_row() -> None:
    first = LinkSettings(loss=0.5, delay=10 * MILLISECOND, rate=1_250_000)
    second = LinkSettings(loss=0.5, delay=5 * MILLISECOND, rate=250_000, order=Order.NATURAL)
    both = combined(first, second)
    assert both.loss == pytest.approx(0.75)
    assert both.delay == 15 * MILLISECOND
    assert both.rate == second.rate
    assert both.order is Order.NATURAL


def test_nothing_is_added_by_a_clean_demand() -> None:
    settings = LinkSettings(loss=0.05, delay=20 * MILLISECOND, jitter=MILLISECOND, rate=125_000, limit=77)
    assert combined(settings, CLEAN) == settings == combined(CLEAN, settings)


def test_a_cut_stays_a_cut() -> None:
    assert combined(LinkSettings(loss=0.05), LinkSettings(loss=1.0)).loss == 1.0


def test_a_delay_added_to_a_narrow_link_leaves_it_its_queue() -> None:
    narrow = LinkSettings(rate=125_000, limit=20)
    assert combined(narrow, LinkSettings(delay=200 * MILLISECOND)).limit == 20 + 2 * 17


def test_the_queue_holds_what_is_under_way_and_what_waits() -> None:
    assert queue_limit(1_000_000, 14_000, 200 * MILLISECOND) == 10 + 2 * 142
    assert queue_limit(0, None, 200 * MILLISECOND) > 2 * 17_000
