"""How a controller starts a keeper, and tells it to end."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from node.testnet.errors import TestnetMisused
from node.testnet.runners.directory import Directory
from node.testnet.runners.keeping import claim, last_words, tell_to_end, write_plan


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "trial")


def test_a_testnet_has_one_keeper_and_nothing_of_a_former_one(directory: Directory) -> None:
    directory.path.mkdir()
    directory.token.write_text("old")
    (directory.path / "nodes").mkdir()
    lock = claim(directory)
    assert [entry.name for entry in directory.path.iterdir()] == ["lock"]
    with pytest.raises(TestnetMisused, match="a testnet 'trial' runs already"):
        claim(directory)
    os.close(lock)


def test_a_plan_is_written_for_its_user_alone(directory: Directory) -> None:
    directory.path.mkdir()
    write_plan(directory, {"seed": 1})
    assert json.loads(directory.plan.read_text()) == {"seed": 1}
    assert directory.plan.stat().st_mode & 0o777 == 0o600


def test_a_keeper_that_is_gone_has_heard_it_and_one_that_does_not_listen_yet_has_not(directory: Directory) -> None:
    assert tell_to_end(directory)
    lock = claim(directory)
    assert not tell_to_end(directory)
    os.close(lock)


def test_the_last_words_of_a_keeper_are_its_last_line(directory: Directory) -> None:
    directory.path.mkdir()
    assert last_words(directory) == "without a word"
    directory.keeper_log.write_text("first\nOSError: no\n")
    assert last_words(directory) == "OSError: no"
