"""Settings that a scenario gives to every node."""

from __future__ import annotations

import pytest

from node.config import FIELDS
from node.testnet.scenario.settings import OWN, wrong_settings


def test_settings_of_a_node_are_taken() -> None:
    assert list(wrong_settings({"heartbeat_interval": 0.5, "congestion": "cubic", "max_retries": 3})) == []


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        ({"heartbeat_intervall": 1}, "heartbeat_intervall", "unknown; did you mean heartbeat_interval? allowed is one"),
        ({"heartbeat_interval": -1}, "heartbeat_interval", "-1: allowed is a number of seconds from"),
        ({"port": 3}, "port", "the testnet gives it to each node itself"),
        ({"min_rto": 2.0, "max_rto": 1.0}, "m", ""),
    ],
)
def test_a_setting_that_cannot_be_is_told_by_name(values: dict[str, object], name: str, said: str) -> None:
    ((found, wrong),) = wrong_settings(values)
    assert found.startswith(name)
    assert wrong.startswith(said)
    assert wrong


def test_what_a_testnet_decides_are_settings_of_a_node() -> None:
    assert set(OWN) <= set(FIELDS)
