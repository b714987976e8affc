from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.metrics.impairment import Impairment, asked_loss, read_impairments


def test_what_the_file_says_is_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    table = {"backend": "netem", "loss_ratio": 0.1, "delay_seconds": 0.02, "jitter_seconds": 0, "target": "p2p"}
    file.write_text(json.dumps(table))

    assert read_impairments(str(file)) == (
        Impairment(backend="netem", target="p2p", loss_ratio=0.1, delay_seconds=0.02, jitter_seconds=0.0),
    )


def test_no_path_and_no_file_mean_no_impairment(tmp_path: Path) -> None:
    assert read_impairments("") == (Impairment(),)
    assert read_impairments(str(tmp_path / "absent")) == (Impairment(),)


def test_a_backend_of_another_name_is_other(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    file.write_text('{"backend": "cable cutter"}')

    (impairment,) = read_impairments(str(file)) or ()

    assert impairment.backend == "other"


def test_a_list_tells_of_each_link_and_of_what_was_asked(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    one = {"backend": "nft", "dir": "ingress", "target": "node-1", "loss_ratio": 0.2, "asked_loss_ratio": 0.3}
    file.write_text(json.dumps([one, one | {"target": "node-2", "asked_delay_seconds": 0.02}]))

    first, second = read_impairments(str(file)) or ()

    assert first == Impairment(backend="nft", dir="ingress", target="node-1", loss_ratio=0.2, asked_loss_ratio=0.3)
    assert (second.target, second.asked_delay_seconds) == ("node-2", 0.02)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"backend": 1}',
        b'{"backend": "netem", "loss_ratio": 2}',
        b'{"backend": "netem", "loss_ratio": "10%"}',
        b'{"backend": "netem", "delay_seconds": NaN}',
        b'{"backend": "netem", "delay_seconds": -1}',
        b'{"backend": "netem", "dir": "sideways"}',
        b'{"backend": "netem", "target": "a\\nb"}',
        b"[" * 60_000,
    ],
)
def test_a_file_that_does_not_say_it_is_not_taken_for_no_impairment(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "impairment.json"
    file.write_bytes(content)

    assert read_impairments(str(file)) is None


def test_a_file_that_cannot_be_read_is_not_taken_for_no_impairment(tmp_path: Path) -> None:
    assert read_impairments(str(tmp_path)) is None


def test_the_loss_that_is_asked_of_a_link_is_that_of_everything_on_the_way_out() -> None:
    everywhere = Impairment(backend="netem", loss_ratio=0.09, asked_loss_ratio=0.1)
    there = Impairment(backend="wire", target="node-2", loss_ratio=0.5)
    inwards = Impairment(backend="netem", dir="ingress", target="node-2", loss_ratio=0.3)

    assert asked_loss([everywhere, there, inwards], "node-2", "192.0.2.2") == 0.55
    assert asked_loss([everywhere, there, inwards], "node-3", "192.0.2.3") == 0.1
    assert asked_loss([Impairment()], "node-3") == 0.0
    assert asked_loss([there, inwards], "node-3") is None


def test_what_receivers_drop_in_their_kernels_is_not_known_to_the_sender() -> None:
    left_to_the_node = Impairment(backend="wire", target="node-2", delay_seconds=0.02)
    here = Impairment(backend="nft", dir="ingress", target="node-2", loss_ratio=0.3)

    assert asked_loss([left_to_the_node, here], "node-2") is None
    assert asked_loss([left_to_the_node, Impairment(backend="nft", dir="ingress")], "node-2") is None
