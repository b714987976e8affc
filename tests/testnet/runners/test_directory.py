"""The directory in which a testnet is found again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.runners.directory import ask_keeper, directory_of, home, known, running


@pytest.fixture(autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path_factory.mktemp("rt")  # the paths of tests are long, and sockets fit in short ones only
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    return directory


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-a", "a" * 41, "a b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(TestnetMisused, match="allowed are up to 40"):
        directory_of(name)


def test_without_a_runtime_directory_it_is_among_the_state_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert home() == tmp_path / "positron" / "testnets"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".local" / "state" / "positron" / "testnets"


def test_a_path_that_no_socket_fits_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(TestnetFailed, match="set XDG_RUNTIME_DIR"):
        directory_of("a")


def test_a_testnet_lives_for_as_long_as_its_lock_is_held_and_is_swept_away_then() -> None:
    kept = directory_of("kept")
    kept.path.mkdir(parents=True)
    lock = kept.lock()
    assert lock is not None
    assert kept.lock() is None
    assert kept.is_alive()
    assert known() == ["kept"]
    assert running("kept") == kept
    with pytest.raises(TestnetFailed, match="running are kept"):
        running("other")
    os.close(lock)
    assert not kept.is_alive()
    with pytest.raises(TestnetFailed, match="start one with `testnet up`"):
        running("kept")
    assert not kept.path.exists()


def test_a_keeper_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(TestnetFailed, match="keeper of testnet 'gone' does not answer"):
        ask_keeper(directory_of("gone"), {"do": "status"})


def test_a_plan_that_cannot_be_read_is_one_line() -> None:
    broken = directory_of("broken")
    broken.path.mkdir(parents=True)
    broken.plan.write_text("{")
    with pytest.raises(TestnetFailed, match=r"plan\.json cannot be read"):
        broken.read_plan()
