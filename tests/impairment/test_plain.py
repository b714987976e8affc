"""Settings of links as plain values, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import UsageError
from node.impairment.link import GilbertElliott, LinkSettings, LossAt, Order
from node.impairment.plain import from_plain, to_plain

SHARES = st.floats(0, 1)
SETTINGS = st.builds(
    LinkSettings,
    delay=st.integers(0, 1 << 40),
    jitter=st.integers(0, 1 << 40),
    order=st.sampled_from(Order),
    loss_at=st.sampled_from(LossAt),
    loss=SHARES,
    bursts=st.none() | st.builds(GilbertElliott, p=SHARES, r=SHARES, loss_bad=SHARES, loss_good=SHARES),
    reorder=SHARES,
    duplicate=SHARES,
    corrupt=SHARES,
    rate=st.integers(0, 1 << 40),
    ce_threshold=st.integers(0, 1 << 40),
    overhead=st.integers(0, 100),
    limit=st.integers(1, 1_000_000),
    mtu=st.integers(0, 65507),
)


@given(SETTINGS)
def test_what_is_sent_is_what_was_meant(settings: LinkSettings) -> None:
    assert from_plain(json.loads(json.dumps(to_plain(settings)))) == settings


def test_a_clean_link_is_an_empty_object() -> None:
    assert to_plain(LinkSettings()) == {}


@pytest.mark.parametrize(
    "plain",
    [
        None,
        [],
        {"los": 0.1},
        {"loss": 1.5},
        {"loss": "5%"},
        {"loss": True},
        {"delay": -1},
        {"delay": 0.5},
        {"order": "random"},
        {"bursts": {}},
        {"bursts": {"p": 2, "r": 0.1}},
        {"bursts": {"p": 0.1, "r": 0.1, "x": 1}},
        {"limit": 0},
    ],
)
def test_anything_else_is_refused(plain: object) -> None:
    with pytest.raises(UsageError):
        from_plain(plain)
