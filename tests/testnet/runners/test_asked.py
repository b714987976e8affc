"""What a node says that its links are asked to do."""

from __future__ import annotations

import pytest

from node.testnet.runners.asked import asked_of, faults_on

ANSWER = {
    "default": {"delay": 1_000_000},
    "hosts": {"10.0.0.2": {"loss": 0.5}},
    "faults": [
        {"step": "some", "hosts": ["10.0.0.2"], "settings": {"loss": 0.5}},
        {"step": "all", "hosts": None, "settings": {"duplicate": 0.1}},
    ],
}


def test_faults_come_on_top_of_what_a_link_is_like() -> None:
    settings = asked_of(ANSWER, "10.0.0.2")
    assert settings.loss == pytest.approx(0.75)
    assert settings.duplicate == 0.1
    assert faults_on(ANSWER, "10.0.0.2") == ["some", "all"]


def test_a_link_without_settings_of_its_own_has_those_of_all() -> None:
    settings = asked_of(ANSWER, "10.0.0.3")
    assert (settings.loss, settings.delay) == (0.0, 1_000_000)
    assert faults_on(ANSWER, "10.0.0.3") == ["all"]
