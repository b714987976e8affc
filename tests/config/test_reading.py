from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

import pytest

from node.config import reading
from node.config.reading import read_file


@pytest.mark.parametrize(("size", "found"), [(0, 0), (9, 9), (10, 10), (11, 11), (100_000, 11)])
def test_a_file_is_read_to_one_byte_more_than_is_allowed(size: int, found: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    assert read_file(str(tmp_path / "file"), 10) == b"x" * found


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"x" * 100_000,))
    writer.start()
    assert read_file(str(path), 1 << 20) == b"x" * 100_000
    writer.join()


def test_a_pipe_that_nobody_writes_into_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIPE_PATIENCE", 0.01)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError, match="nobody wrote it"):
        read_file(str(tmp_path / "pipe"), 10)


def test_a_program_may_have_many_descriptors(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limits[0] < 1100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1100, limits[1]))
    many = [os.open(tmp_path, os.O_RDONLY) for _ in range(1030)]
    try:
        assert read_file(str(tmp_path / "file"), 10) == b"x"
    finally:
        for one in many:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_file(str(tmp_path), 10)
