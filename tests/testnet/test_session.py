"""A testnet in a program's hands: on real processes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.session import Session


@pytest.mark.loopback
def test_the_same_program_runs_on_processes(testnets: Path) -> None:
    before = set(testnets.glob("*"))
    with Session(nodes=3, runner="proc") as testnet:
        with testnet.faults.partition("one", target="node-1") as cut:
            message = testnet.broadcast("seed")
            testnet.wait_until(lambda: "node-2" in testnet.holders(message), 20, "node-2 has it")
            assert "node-1" not in testnet.holders(message)
            assert cut.step == "partition-1"
        testnet.wait_until_everywhere(message)
    assert set(testnets.glob("*")) == before


def test_an_error_of_the_program_takes_the_testnet_down_and_is_told_alone() -> None:
    def program() -> None:
        with Session(nodes=3, runner="sim") as session:
            session.faults.partition("one", target="node-1")
            session.broadcast("seed")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        program()


def test_who_lacks_a_message_is_named() -> None:
    with Session(nodes=3, runner="sim") as testnet, testnet.faults.partition("one", target="node-2"):
        message = testnet.broadcast("seed")
        with pytest.raises(TestnetFailed, match="is not at node-2 after 2 s"):
            testnet.wait_until_everywhere(message, 2)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"nodes": 1}, "nodes 1: allowed is 2 to 100"),
        ({"runner": "cloud"}, "runner 'cloud': allowed are auto, proc and sim"),
        ({"links": {"all": {"delay": "soon"}}}, "soon"),
        ({"settings": {"heartbeat_intervall": 1}}, "did you mean heartbeat_interval?"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(words: dict[str, object], text: str) -> None:
    with pytest.raises(TestnetMisused, match=text):
        Session(**words)  # type: ignore[arg-type]  # wrong on purpose
