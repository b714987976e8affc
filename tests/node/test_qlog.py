"""Traces become files: one for each connection, bounded, safe, and never in the way of the node."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.errors import StartError
from node.metrics.readings import RuntimeStats
from node.node import qlog
from node.node.log import EventLog
from node.node.qlog import Recorder, TraceFiles
from node.transport.settings import TransportSettings
from node.types import NodeId
from tests.pair import Pair
from tests.transport.qlog import parsed

pytestmark = pytest.mark.asyncio

NODE_ID = NodeId(bytes.fromhex("4f3c21aa") + bytes(28))


class Log(EventLog):
    """Keeps what was warned of."""

    def __init__(self) -> None:
        super().__init__(RuntimeStats())
        self.warnings: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.warnings.append((event, fields))


def files_in(directory: Path, *, epoch: int = 1, bytes_max: int = 1 << 20) -> TraceFiles:
    return TraceFiles(directory, NODE_ID, epoch, bytes_max)


def traced() -> Pair:
    pair = Pair(client_settings=TransportSettings(qlog_bytes_max=1 << 18))
    pair.connect()
    return pair


def written(directory: Path) -> dict[str, list[dict[str, Any]]]:
    return {path.name: parsed(path.read_bytes()) for path in sorted(directory.iterdir())}


async def test_each_connection_has_a_file_that_holds_all_of_it(tmp_path: Path) -> None:
    pair, log = traced(), Log()
    recorder = Recorder(files_in(tmp_path / "made" / "here", epoch=1234), log)
    for _ in range(3):
        pair.client.send(bytes(5_000))
        pair.run(0.1)
        await recorder.look(pair.client.endpoint)
    trace = pair.client.connection.sending.trace
    assert trace is not None
    pair.client.disconnect()
    pair.run(2)
    pair.client.events.clear()
    pair.connect()
    await recorder.finish(pair.client.endpoint)
    found = written(tmp_path / "made" / "here")
    assert list(found) == ["4f3c21aa-1234-1.sqlog", "4f3c21aa-1234-2.sqlog"]
    assert found["4f3c21aa-1234-1.sqlog"] == parsed(trace.dump())
    assert log.warnings == []
    assert (tmp_path / "made" / "here" / "4f3c21aa-1234-1.sqlog").stat().st_mode & 0o777 == 0o600


async def test_nothing_is_written_without_a_directory_or_of_a_stranger(tmp_path: Path) -> None:
    pair = traced()
    await Recorder(None, Log()).keep(pair.client.endpoint)
    await Recorder(None, Log()).finish(pair.client.endpoint)
    stranger = Pair(client_settings=TransportSettings(qlog_bytes_max=1 << 18))
    stranger.client.connect(("10.9.9.9", 1))
    await Recorder(files_in(tmp_path), Log()).finish(stranger.client.endpoint)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.must("M79")
async def test_the_oldest_complete_files_make_room_and_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "4f3c21aa-1-1.sqlog").write_bytes(bytes(600_000))
    (tmp_path / "4f3c21aa-1-2.sqlog").write_bytes(bytes(400_000))
    (tmp_path / "beefbeef-1-1.sqlog").write_bytes(bytes(900_000))
    (tmp_path / "4f3c21aa-notes.txt").write_bytes(bytes(900_000))
    for number, name in enumerate(("4f3c21aa-1-2.sqlog", "4f3c21aa-1-1.sqlog")):
        os.utime(tmp_path / name, (number, number))
    pair, log = traced(), Log()
    recorder = Recorder(files_in(tmp_path, epoch=2), log)
    for _ in range(40):
        pair.client.send(bytes(5_000))
        pair.run(0.1)
        await recorder.look(pair.client.endpoint)
    await recorder.finish(pair.client.endpoint)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"4f3c21aa-1-1.sqlog", "4f3c21aa-2-1.sqlog", "beefbeef-1-1.sqlog", "4f3c21aa-notes.txt"}
    assert log.warnings == []


@pytest.mark.must("M79")
async def test_what_is_no_file_of_ours_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "4f3c21aa-1-1.sqlog").mkdir()
    (tmp_path / "4f3c21aa-1-2.sqlog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "4f3c21aa-1-3.sqlog").write_bytes(bytes(20_000))
    pair, log = traced(), Log()
    recorder = Recorder(files_in(tmp_path, epoch=2, bytes_max=30_000), log)
    for _ in range(10):
        pair.client.send(bytes(5_000))
        pair.run(0.1)
        await recorder.look(pair.client.endpoint)
    await recorder.finish(pair.client.endpoint)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"4f3c21aa-1-1.sqlog", "4f3c21aa-1-2.sqlog", "4f3c21aa-2-1.sqlog"}
    assert log.warnings == []


@pytest.mark.must("M79")
async def test_where_nothing_can_make_room_tracing_ends_and_that_is_said_once(tmp_path: Path) -> None:
    pair, log = traced(), Log()
    recorder = Recorder(files_in(tmp_path, bytes_max=30_000), log)
    for _ in range(30):
        pair.client.send(bytes(20_000))
        pair.run(0.1)
        await recorder.look(pair.client.endpoint)
    await recorder.finish(pair.client.endpoint)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size <= 30_000
    parsed(path.read_bytes())
    assert log.warnings == [
        ("qlog_ended", {"reason": "qlog_dir_bytes_max is reached", "action": "no connection is traced any more"})
    ]
    assert pair.client.connection.sending.trace is None, "nothing is recorded for nobody"
    pair.client.disconnect()
    pair.run(2)
    pair.connect()
    assert pair.client.connection.sending.trace is None


async def test_files_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qlog, "FILES_MAX", 2)
    pair, log = traced(), Log()
    recorder = Recorder(files_in(tmp_path), log)
    for _ in range(4):
        await recorder.look(pair.client.endpoint)
        pair.client.disconnect()
        pair.run(2)
        pair.client.events.clear()
        pair.server.events.clear()
        pair.connect()
    await recorder.finish(pair.client.endpoint)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["4f3c21aa-1-4.sqlog", "4f3c21aa-1-5.sqlog"]
    assert log.warnings == []


@pytest.mark.must("M79")
async def test_a_full_disk_ends_tracing_and_that_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, log = traced(), Log()
    files = files_in(tmp_path)

    def refuse(chunks: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write", refuse)
    recorder = Recorder(files, log)
    for _ in range(3):
        await recorder.look(pair.client.endpoint)
    await recorder.finish(pair.client.endpoint)
    assert [(event, fields["reason"]) for event, fields in log.warnings] == [("qlog_ended", "No space left on device")]
    assert pair.client.endpoint.traces.open == {}
    pair.client.send(b"and the connection goes on")
    pair.run(1)
    assert pair.server.received() == [b"and the connection goes on"]


@pytest.mark.must("M79")
async def test_a_file_that_lies_there_already_is_not_written_to(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("mine")
    directory = tmp_path / "traces"
    directory.mkdir()
    (directory / "4f3c21aa-1-1.sqlog").symlink_to(target)
    pair, log = traced(), Log()
    await Recorder(files_in(directory), log).finish(pair.client.endpoint)
    assert target.read_text() == "mine"
    assert [event for event, _ in log.warnings] == ["qlog_ended"]


async def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qlog, "FINAL_TIMEOUT", 0.05)
    pair, log = traced(), Log()
    files, hangs = files_in(tmp_path), threading.Event()
    monkeypatch.setattr(files, "write", lambda chunks: hangs.wait(30))
    recorder = Recorder(files, log)
    try:
        hung = asyncio.create_task(recorder.look(pair.client.endpoint))
        await asyncio.sleep(0)
        pair.client.send(b"x")
        pair.run(1)
        async with asyncio.timeout(10):
            await recorder.finish(pair.client.endpoint)
    finally:
        hangs.set()
    await hung
    assert [event for event, _ in log.warnings] == ["qlog_not_whole"]


@pytest.mark.parametrize(
    "spoil", [lambda path: path.write_text("a file"), lambda path: (path / "x").mkdir(parents=True)]
)
async def test_a_directory_that_cannot_be_is_refused_at_the_start(
    tmp_path: Path, spoil: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "traces"
    spoil(directory)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(
        StartError, match=r"qlog_dir '.*traces': .*; allowed is a directory that this user may write to"
    ):
        files_in(directory)
