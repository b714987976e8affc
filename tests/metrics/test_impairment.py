from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.metrics.impairment import Impairment, read_impairment


def test_what_the_file_says_is_what_is_read(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    table = {"backend": "netem", "loss_ratio": 0.1, "delay_seconds": 0.02, "jitter_seconds": 0, "target": "p2p"}
    file.write_text(json.dumps(table))

    assert read_impairment(str(file)) == Impairment(
        backend="netem", target="p2p", loss_ratio=0.1, delay_seconds=0.02, jitter_seconds=0.0
    )


def test_no_path_and_no_file_mean_no_impairment(tmp_path: Path) -> None:
    assert read_impairment("") == Impairment()
    assert read_impairment(str(tmp_path / "absent")) == Impairment()


def test_a_backend_of_another_name_is_other(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    file.write_text('{"backend": "cable cutter"}')

    impairment = read_impairment(str(file))

    assert impairment is not None
    assert impairment.backend == "other"


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

    assert read_impairment(str(file)) is None


def test_a_file_that_cannot_be_read_is_not_taken_for_no_impairment(tmp_path: Path) -> None:
    assert read_impairment(str(tmp_path)) is None
