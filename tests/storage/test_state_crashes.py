"""The end of the process, or of the power, at every single operation: old or new, never half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.messages.packing import Value
from node.storage.files import Files
from node.storage.records import Rows
from node.storage.state import STATE_FILE, StateFile
from node.types import NodeId

OWN = NodeId(b"o" * 32)


class Crash(BaseException):
    """The process is gone; nothing may catch it."""


class Mortal(Files):
    """Dies at the n-th operation; a write that it dies in leaves half of its bytes."""

    def __init__(self, operations: int) -> None:
        self.left = operations

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    def create(self, path: Path) -> int:
        self._count()
        return super().create(path)

    def open_to_append(self, path: Path) -> int:
        self._count()
        return super().open_to_append(path)

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.left:
            super().write(descriptor, data[: len(data) // 2])
        self._count()
        # Short writes are allowed, and make more places to die at.
        return super().write(descriptor, data[: max(1, len(data) // 3)])

    def sync(self, descriptor: int) -> None:
        self._count()
        super().sync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)

    def sync_directory(self, directory: Path) -> None:
        self._count()
        super().sync_directory(directory)


def version(number: int, size: int = 40) -> Rows:
    rows: dict[bytes, Value] = {}
    for key in range(size):
        rows[bytes([key])] = [key, number if key % 7 == 0 else 0, bytes(30)]
    return {"origins": rows, "epoch": {b"": number}}


def load(directory: Path) -> Rows:
    return StateFile(directory, OWN).load().rows


@pytest.mark.parametrize("kind", ["first save", "append", "written anew"])
def test_a_process_that_dies_at_any_operation_leaves_the_old_or_the_new(tmp_path: Path, kind: str) -> None:
    base = tmp_path / "base"
    base.mkdir()
    if kind != "first save":
        StateFile(base, OWN).save(version(1))
    if kind == "written anew":
        with (base / STATE_FILE).open("ab") as file:
            file.write(b"torn")  # nothing may be appended to this
    old, new = load(base), version(2)
    for operations in range(200):
        directory = tmp_path / f"{operations}"
        shutil.copytree(base, directory)
        files = Mortal(operations)
        state = StateFile(directory, OWN, files)
        state.load()
        try:
            state.save(new)
        except Crash:
            assert load(directory) in (old, new)
            # The next life goes on from there.
            reborn = StateFile(directory, OWN)
            reborn.load()
            reborn.save(version(3))
            assert load(directory) == version(3)
            continue
        assert load(directory) == new
        assert operations > 3
        return
    raise AssertionError("never got through")


@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_file_cut_at_any_byte_tells_some_whole_save_or_nothing(tmp_path: Path, saves: int) -> None:
    state = StateFile(tmp_path, OWN)
    known: list[Rows] = [{}]
    for number in range(saves):
        state.save(version(number, 6))
        known.append(version(number, 6))
    content = (tmp_path / STATE_FILE).read_bytes()
    for length in range(len(content) + 1):
        (tmp_path / STATE_FILE).write_bytes(content[:length])
        assert load(tmp_path) in known


def test_a_byte_changed_anywhere_is_recovery_and_never_an_error_of_ours(tmp_path: Path) -> None:
    state = StateFile(tmp_path, OWN)
    known: list[Rows] = [{}]
    for number in range(2):
        state.save(version(number, 6))
        known.append(version(number, 6))
    content = (tmp_path / STATE_FILE).read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0xFF
        (tmp_path / STATE_FILE).write_bytes(changed)
        assert load(tmp_path) in known


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from node.storage.state import StateFile
from node.types import NodeId
state = StateFile(Path(sys.argv[1]), NodeId(b"o" * 32))
state.load()
for number in range(10**6):
    state.save({"n": {bytes([k]): [number, bytes(2000)] for k in range(20)}})
    print(number, flush=True)
"""


def test_a_process_that_is_killed_while_it_saves_has_everything_that_it_said_was_saved(tmp_path: Path) -> None:
    for _ in range(5):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parents[2])],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert writer.stdout is not None
        said = -1
        for line in writer.stdout:
            said = int(line)
            if said == 20:
                os.kill(writer.pid, signal.SIGKILL)
                break
        said = max([said, *(int(line) for line in writer.stdout)])
        writer.wait(10)
        writer.stdout.close()
        numbers = {row[0] for row in load(tmp_path)["n"].values() if isinstance(row, list)}
        assert len(numbers) == 1
        assert said <= int(str(numbers.pop())) <= said + 1
