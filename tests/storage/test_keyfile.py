"""The key file: private from its first byte, whole or absent, never replaced; the data directory of one process."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest

from node.errors import StartError
from node.identity.keys import Identity
from node.storage.keyfile import create, load, load_or_create, lock


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "identity.key"


def test_a_created_identity_is_loaded_again(path: Path) -> None:
    identity = create(path)
    assert load(path).node_id == identity.node_id
    assert load_or_create(str(path)).sign(b"data") == identity.sign(b"data")


def test_the_first_start_creates_and_the_next_one_loads(path: Path) -> None:
    assert load_or_create(path).node_id == load_or_create(path).node_id


def test_every_identity_is_another(tmp_path: Path) -> None:
    assert create(tmp_path / "one").node_id != create(tmp_path / "two").node_id


def test_the_file_is_text_that_names_the_node(path: Path) -> None:
    identity = create(path)
    heading, seed, node = path.read_text().splitlines()
    assert heading == "positron identity v1"
    assert Identity(bytes.fromhex(seed.removeprefix("seed = "))).node_id == identity.node_id
    assert node == f"node = {identity.node_id}"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_the_file_is_private_whatever_the_umask(path: Path, mask: int) -> None:
    with umask(mask):
        create(path)
    assert mode_of(path) == 0o600


def test_the_file_is_private_from_its_first_byte(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    original = os.open

    def recording_open(name: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = original(name, flags, mode)
        if flags & os.O_CREAT:
            seen.append((flags, stat.S_IMODE(os.fstat(descriptor).st_mode)))
            assert os.fstat(descriptor).st_size == 0
        return descriptor

    monkeypatch.setattr(os, "open", recording_open)
    with umask(0):
        create(path)
    ((flags, mode),) = seen
    assert mode == 0o600
    assert flags & os.O_EXCL
    assert flags & os.O_NOFOLLOW


def test_missing_directories_are_made_for_the_owner_only(tmp_path: Path) -> None:
    with umask(0):
        create(tmp_path / "one" / "two" / "identity.key")
    assert mode_of(tmp_path / "one") == mode_of(tmp_path / "one" / "two") == 0o700


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    create(tmp_path / "identity.key")
    assert mode_of(tmp_path) == 0o755


def test_nothing_but_the_file_is_left(tmp_path: Path) -> None:
    create(tmp_path / "identity.key")
    assert os.listdir(tmp_path) == ["identity.key"]


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(StartError, match="never overwritten"):
        create(path)
    assert path.read_text() == "precious"
    assert os.listdir(path.parent) == ["identity.key"]


def test_a_link_to_nowhere_is_neither_followed_nor_replaced(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError):
        create(path)
    with pytest.raises(StartError):
        load_or_create(path)
    assert not (tmp_path / "elsewhere").exists()
    assert path.is_symlink()


def test_a_link_to_a_good_file_is_refused(path: Path, tmp_path: Path) -> None:
    create(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="cannot be read: it is a symbolic link"):
        load(path)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o660, 0o602, 0o601, 0o620, 0o777])
def test_a_file_open_to_others_is_refused_with_the_cure(path: Path, mode: int) -> None:
    create(path)
    path.chmod(mode)
    with pytest.raises(StartError, match=f"chmod 600 {path}"):
        load_or_create(path)
    path.chmod(0o600)
    load_or_create(path)


def test_a_file_of_another_user_is_refused_with_the_cure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(path)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StartError, match=f"belongs to user {owner}, not {owner + 1}: chown {owner + 1} {path}"):
        load(path)


def test_every_changed_bit_of_the_file_is_refused_and_left(path: Path) -> None:
    create(path)
    good = path.read_bytes()
    for bit in range(8 * len(good)):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(StartError, match="is damaged"):
            load_or_create(path)
        assert path.read_bytes() == changed


def test_every_truncation_and_any_addition_is_refused(path: Path) -> None:
    create(path)
    good = path.read_bytes()
    for wrong in [good[:size] for size in range(len(good))] + [good + b"\n", good * 2, bytes(10_000)]:
        path.write_bytes(wrong)
        with pytest.raises(StartError, match="is damaged"):
            load_or_create(path)


def test_errors_are_one_line_with_the_path_and_without_the_seed(path: Path) -> None:
    create(path)
    seed = path.read_text().splitlines()[1].removeprefix("seed = ")
    path.write_text(path.read_text()[:-2])
    with pytest.raises(StartError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert seed not in str(caught.value)


def test_a_missing_file_is_a_start_error_for_load(path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        load(path)


def test_a_directory_and_a_pipe_are_refused_at_once(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StartError):
        load_or_create(path)
    path.rmdir()
    os.mkfifo(path, 0o600)
    with pytest.raises(StartError, match="not a plain file"):
        load_or_create(path)


def test_a_file_in_the_place_of_the_directory_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError):
        create(tmp_path / "file" / "identity.key")
    with pytest.raises(StartError), lock(tmp_path / "file"):
        pass


class Crash(BaseException):
    """Stands for the end of the process: nothing catches it, and every later call ends in it too."""


def crash_after(calls: int, patched: pytest.MonkeyPatch) -> None:
    """Lets that many calls change the file system, and none after them."""
    left = iter(range(calls))

    def limited(original: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if next(left, None) is None:
                raise Crash
            return original(*arguments, **options)

        return call

    for name in ("mkdir", "open", "fchmod", "fsync", "link", "unlink"):
        patched.setattr(os, name, limited(getattr(os, name)))


def test_a_crash_at_any_step_leaves_no_file_or_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    existed = []
    for calls in range(10):
        path = tmp_path / str(calls) / "identity.key"
        with monkeypatch.context() as patched:
            crash_after(calls, patched)
            with pytest.raises(Crash):
                create(path)
        existed.append(path.exists())
        assert load_or_create(path).node_id == load(path).node_id
        assert mode_of(path) == 0o600
    assert existed == [False] * 7 + [True] * 3  # the link is the seventh call

    with monkeypatch.context() as patched:
        crash_after(10, patched)
        identity = create(tmp_path / "10" / "identity.key")
    assert load(tmp_path / "10" / "identity.key").node_id == identity.node_id


@pytest.mark.parametrize("name", ["open", "fchmod", "fsync", "link"])
def test_a_full_or_broken_disk_is_a_start_error_that_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def failing(*arguments: object, **options: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, name, failing)
        with pytest.raises(StartError, match="cannot be written: No space left on device"):
            create(path)
    assert os.listdir(path.parent) == []


def test_many_starts_at_once_agree_on_one_identity(path: Path) -> None:
    workers = 8
    barrier = Barrier(workers, timeout=30)

    def begin() -> str:
        barrier.wait()
        return load_or_create(path).node_id

    with ThreadPoolExecutor(workers) as pool:
        node_ids = [future.result(timeout=30) for future in [pool.submit(begin) for _ in range(workers)]]
    assert set(node_ids) == {load(path).node_id}
    assert os.listdir(path.parent) == ["identity.key"]


def test_of_many_creations_at_once_one_succeeds(path: Path) -> None:
    workers = 8
    barrier = Barrier(workers, timeout=30)

    def begin() -> str | None:
        barrier.wait()
        try:
            return create(path).node_id
        except StartError:
            return None

    with ThreadPoolExecutor(workers) as pool:
        results = [future.result(timeout=30) for future in [pool.submit(begin) for _ in range(workers)]]
    assert [node_id for node_id in results if node_id] == [load(path).node_id]


def test_a_second_node_cannot_use_the_directory(tmp_path: Path) -> None:
    with lock(tmp_path):
        with pytest.raises(StartError, match=f"data directory {tmp_path} is in use by another node"), lock(tmp_path):
            pass
        with pytest.raises(StartError), lock(tmp_path):  # the refused attempt has not released it
            pass
    with lock(tmp_path):
        pass


def test_the_lock_is_released_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock(tmp_path):
        raise KeyError
    with lock(tmp_path):
        pass


def test_the_lock_makes_the_directory_for_the_owner_only(tmp_path: Path) -> None:
    with umask(0), lock(tmp_path / "data"):
        assert mode_of(tmp_path / "data") == 0o700
        assert mode_of(tmp_path / "data" / "lock") == 0o600


def test_the_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    program = (
        "import sys; from node.storage.keyfile import lock\n"
        "with lock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StartError, match="in use"), lock(tmp_path):
            pass
        process.kill()
        process.wait(timeout=30)
    with lock(tmp_path):
        pass


@pytest.mark.parametrize("has_file", [True, False])
def test_a_directory_that_cannot_be_written_to_is_held_if_it_can_be_and_said_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_file: bool
) -> None:
    if has_file:
        (tmp_path / "lock").touch(0o600)
    true_open = os.open

    def read_only(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if flags & (os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return true_open(path, flags, mode)

    monkeypatch.setattr(os, "open", read_only)
    with lock(tmp_path) as problem:
        if has_file:
            assert problem == ""
            with pytest.raises(StartError, match="in use"), lock(tmp_path):
                pass
        else:
            assert "Read-only file system" in problem
