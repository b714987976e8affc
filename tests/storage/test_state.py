"""The state file: what was saved is loaded, and what cannot be saved or loaded is told in one line."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest

from node.errors import StartError, StorageError
from node.storage.files import Files
from node.storage.records import Rows, header
from node.storage.state import JOURNAL_BYTES_MIN, PART_JOURNAL_BYTES_MIN, STATE_FILE, Loaded, StateFile
from node.types import NodeId

OWN, OTHER = NodeId(b"o" * 32), NodeId(b"p" * 32)


def rows_of(count: int, version: int = 0) -> Rows:
    return {
        "origins": {number.to_bytes(4, "big"): [number, version if number == 0 else 0] for number in range(count)},
        "epoch": {b"": version},
    }


def reload(directory: Path) -> Loaded:
    return StateFile(directory, OWN).load()


def test_without_a_file_there_is_nothing_and_no_problem(tmp_path: Path) -> None:
    assert reload(tmp_path) == Loaded({})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = StateFile(tmp_path, OWN)
    state.load()
    for version in range(3):
        state.save(rows_of(10, version))
    assert reload(tmp_path) == Loaded(rows_of(10, 2))


def test_a_file_is_for_its_owner_only(tmp_path: Path) -> None:
    StateFile(tmp_path, OWN).save(rows_of(1))
    assert stat.S_IMODE((tmp_path / STATE_FILE).stat().st_mode) == 0o600


def test_a_save_costs_what_changed_and_one_without_changes_nothing(tmp_path: Path) -> None:
    state, path = StateFile(tmp_path, OWN), tmp_path / STATE_FILE
    state.save(rows_of(1000))
    first = path.stat().st_size
    state.save(rows_of(1000, 1))
    second = path.stat().st_size
    state.save(rows_of(1000, 1))
    assert 0 < second - first < 200
    assert path.stat().st_size == second


def test_rows_that_are_gone_stay_gone(tmp_path: Path) -> None:
    state = StateFile(tmp_path, OWN)
    state.save(rows_of(10))
    state.save(rows_of(4))
    assert reload(tmp_path).rows == rows_of(4)


def test_a_journal_that_has_grown_is_written_anew(tmp_path: Path) -> None:
    state, path = StateFile(tmp_path, OWN), tmp_path / STATE_FILE
    largest = 0
    for version in range(60):
        state.save({"origins": {bytes([n]): Random(version * 100 + n).randbytes(1000) for n in range(20)}})
        largest = max(largest, path.stat().st_size)
    assert largest <= 2 * 25_000 + JOURNAL_BYTES_MIN
    assert path.stat().st_size < 60 * 20_000


def test_the_next_life_appends_to_what_it_found(tmp_path: Path) -> None:
    StateFile(tmp_path, OWN).save(rows_of(100))
    size = (tmp_path / STATE_FILE).stat().st_size
    reborn = StateFile(tmp_path, OWN)
    assert reborn.load().rows == rows_of(100)
    reborn.save(rows_of(100, 1))
    assert (tmp_path / STATE_FILE).stat().st_size - size < 200
    assert reload(tmp_path).rows == rows_of(100, 1)


def test_a_part_changes_its_sections_only_and_costs_what_changed(tmp_path: Path) -> None:
    state, path = StateFile(tmp_path, OWN), tmp_path / STATE_FILE
    state.save(rows_of(100))
    size = path.stat().st_size
    changed: Rows = {"origins": rows_of(99, 7)["origins"]}
    assert state.save_part(changed)
    assert not state.save_part(changed)
    assert path.stat().st_size - size < 250
    assert reload(tmp_path) == Loaded({"origins": changed["origins"], "epoch": {b"": 0}})
    state.save(rows_of(100, 8))
    assert reload(tmp_path) == Loaded(rows_of(100, 8))


def test_parts_do_not_grow_the_file_without_end(tmp_path: Path) -> None:
    state, path = StateFile(tmp_path, OWN), tmp_path / STATE_FILE
    state.save({"origins": {b"": b""}})
    had_room = [state.save_part({"origins": {b"": Random(n).randbytes(200_000)}}) for n in range(60)]
    assert had_room[0]
    assert not had_room[-1]
    assert path.stat().st_size <= 2 * PART_JOURNAL_BYTES_MIN
    state.save({"origins": {b"": b"last"}})
    assert state.save_part({"origins": {b"": b"more"}})
    assert reload(tmp_path).rows == {"origins": {b"": b"more"}}


def test_before_the_first_save_a_part_has_no_place(tmp_path: Path) -> None:
    assert not StateFile(tmp_path, OWN).save_part(rows_of(1))
    assert reload(tmp_path) == Loaded({})


# --- files that are not as they should be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not whole"),
        (b"positron", "not whole"),
        (b"x" * 500, "damaged"),
        (header(OTHER), "belongs to node"),
    ],
)
def test_an_unfit_file_is_moved_away_and_said(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / STATE_FILE).write_bytes(content)
    state = StateFile(tmp_path, OWN)
    loaded = state.load()
    assert loaded.rows == {}
    assert words in loaded.problem
    assert "\n" not in loaded.problem
    assert (tmp_path / "state.damaged").read_bytes() == content
    state.save(rows_of(3))
    assert reload(tmp_path) == Loaded(rows_of(3))


def test_a_file_of_another_version_ends_the_start_and_is_left_alone(tmp_path: Path) -> None:
    content = b"positron state v9\n" + bytes(100)
    (tmp_path / STATE_FILE).write_bytes(content)
    with pytest.raises(StartError, match="another version"):
        reload(tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == content


@pytest.mark.parametrize("kind", ["directory", "link", "pipe"])
def test_what_is_no_plain_file_ends_the_start_or_is_moved_away(tmp_path: Path, kind: str) -> None:
    path = tmp_path / STATE_FILE
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path)
    with pytest.raises(StartError, match="cannot be read") if kind != "pipe" else nullcontext():
        assert reload(tmp_path).rows == {}


def test_a_tail_that_is_not_whole_is_left_out_and_the_next_save_mends_it(tmp_path: Path) -> None:
    StateFile(tmp_path, OWN).save(rows_of(5))
    with (tmp_path / STATE_FILE).open("ab") as file:
        file.write(b"half a record")
    state = StateFile(tmp_path, OWN)
    loaded = state.load()
    assert loaded.rows == rows_of(5)
    assert "13 bytes" in loaded.problem
    state.save(loaded.rows)
    assert reload(tmp_path) == Loaded(rows_of(5))


class Failing(Files):
    """A disk that is full, or read only, after so many bytes."""

    def __init__(self, room: int, code: int) -> None:
        self.room = room
        self._code = code

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(self._code, os.strerror(self._code))
        written = super().write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 60, 400])
def test_a_full_disk_is_one_line_and_the_earlier_state_counts_until_there_is_room(tmp_path: Path, room: int) -> None:
    files = Failing(10**9, errno.ENOSPC)
    state = StateFile(tmp_path, OWN, files)
    state.save(rows_of(50))
    files.room = room
    for version in (1, 2):
        with pytest.raises(StorageError, match="No space left"):
            state.save({"origins": {bytes([n]): bytes([version]) * 100 for n in range(50)}})
        assert reload(tmp_path).rows == rows_of(50)
    files.room = 10**9
    state.save(rows_of(50, 3))
    assert reload(tmp_path) == Loaded(rows_of(50, 3))


def test_a_directory_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        StateFile(tmp_path / "nowhere", OWN).save(rows_of(1))
