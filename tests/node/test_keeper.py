"""The memory of a node that runs: kept, and never worth more than the node."""

from __future__ import annotations

import asyncio
from pathlib import Path
from threading import Event

import pytest

from node.core.state import Rows
from node.errors import StorageError
from node.metrics.readings import RuntimeStats
from node.node import Node
from node.node.keeper import Keeper
from node.node.log import EventLog
from node.storage.files import Files
from node.storage.keyfile import lock
from node.storage.state import STATE_FILE, StateFile
from node.types import NodeId
from tests.node.network import Inbox, configuration, udp_address, until

OWN = NodeId(b"o" * 32)


def keeper(directory: str) -> tuple[Keeper, RuntimeStats]:
    stats = RuntimeStats()
    return Keeper(directory, OWN, EventLog(stats), stats), stats


@pytest.mark.asyncio
async def test_without_a_directory_nothing_is_kept_and_nothing_fails() -> None:
    kept, stats = keeper("")
    assert kept.load() == {}
    assert await kept.begin({}, 1000) == 1000
    await kept.finish({"a": {b"": 1}})
    kept.close()
    assert (stats.state_saves, kept.report()["is_kept"], kept.report()["saved_ago"]) == (0, False, None)


@pytest.mark.asyncio
async def test_the_epoch_grows_with_every_life_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    epochs = []
    for wall in (1000, 5000, 10, 10, 7000):
        kept, _ = keeper(str(tmp_path))
        epochs.append(await kept.begin(kept.load(), wall))
        kept.close()
    assert epochs == [1000, 5000, 5001, 5002, 7000]


@pytest.mark.asyncio
async def test_a_disk_that_fails_is_said_once_and_counted_and_later_saves_count_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "data"
    kept, stats = keeper(str(directory))
    rows: Rows = {"a": {b"": 1}}
    for _ in range(3):
        await kept.save(rows)
    assert (stats.state_saves, stats.state_save_failures) == (0, 3)
    assert "cannot be written" in str(kept.report()["problem"])
    assert stats.log_messages["warning"] == 1
    assert not StateFile(directory, OWN).save_part(rows)
    directory.mkdir()
    await kept.save(rows)
    assert (stats.state_saves, kept.report()["problem"]) == (1, None)
    assert StateFile(directory, OWN).load().rows == rows
    kept.close()


@pytest.mark.asyncio
@pytest.mark.loopback
async def test_a_node_remembers_whom_it_met_and_what_it_heard(tmp_path: Path) -> None:
    config = configuration(data_dir=str(tmp_path / "second"))
    first, second, inbox = Node(configuration()), Node(config), Inbox()
    second.register_data_handler(inbox)
    async with first:
        await second.start()
        await second.peer_manager.connect_to_peer(udp_address(first))
        await first.broadcast({"n": 1})
        await inbox.wait_for(1)
        await second.stop()
        rows = StateFile(tmp_path / "second", second.identity.public_key).load().rows
        assert first.identity.public_key in rows["origins"]
        assert list(rows["known"]) == [first.identity.public_key]
        assert rows["anchors"][b""] == [first.identity.public_key]
        assert rows["life"][b"is_final"] is True

        # Another process with the same directory: it dials whom it knew, without any bootstrap address.
        reborn = Node(config)
        reborn.register_data_handler(inbox)
        async with reborn:
            await until(lambda: len(reborn.peer_manager.active_peers) == 1)
            await first.broadcast({"n": 2})
            assert await inbox.wait_for(2) == [({"n": number}, first.identity.node_id) for number in (1, 2)]


@pytest.mark.asyncio
@pytest.mark.loopback
async def test_a_damaged_state_file_is_said_and_the_node_starts(tmp_path: Path) -> None:
    config = configuration(data_dir=str(tmp_path))
    node = Node(config)
    (tmp_path / STATE_FILE).write_bytes(b"nonsense" * 100)
    async with node:
        assert node.get_stats()["state_stats"]["saves"] == 1
        assert node.get_stats()["runtime"]["log_messages"]["warning"] == 1
    assert (tmp_path / "state.damaged").exists()


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_a_life_whose_state_is_gone_is_remembered_to_have_been(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with lock(tmp_path):
        pass
    if damage == "damaged":
        (tmp_path / STATE_FILE).write_bytes(b"nonsense")
    kept, _ = keeper(str(tmp_path))
    with caplog.at_level("INFO"):
        rows = kept.load()
    assert rows == {"life": {}}
    assert [record.getMessage() for record in caplog.records] == [
        "state_missing" if damage == "lost" else "state_not_whole"
    ]


def test_a_first_life_has_none_before(tmp_path: Path) -> None:
    kept, _ = keeper(str(tmp_path))
    with lock(tmp_path):
        assert kept.load() == {}


@pytest.mark.asyncio
@pytest.mark.loopback
async def test_a_node_goes_on_when_its_directory_disappears(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    node = Node(configuration(data_dir=str(directory)))
    async with node:
        for file in directory.iterdir():
            file.unlink()
        directory.rmdir()
        await node._keeper.save({"a": {b"": 2}})
        assert "cannot be written" in node.get_stats()["state_stats"]["problem"]
        assert node.get_stats()["state"] == "running"


def test_a_failed_save_is_an_error_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        StateFile(tmp_path / "nowhere", OWN).save({"a": {b"": 1}})


@pytest.mark.asyncio
@pytest.mark.loopback
async def test_what_was_delivered_is_on_disk_long_before_the_node_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.node.keeper.WATERMARK_INTERVAL", 0.02)
    first, second, inbox = Node(configuration()), Node(configuration(data_dir=str(tmp_path))), Inbox()
    second.register_data_handler(inbox)
    async with first, second:
        await second.peer_manager.connect_to_peer(udp_address(first))
        await first.broadcast({"n": 1})
        await inbox.wait_for(1)
        author = first.identity.public_key
        await until(lambda: author in StateFile(tmp_path, second.identity.public_key).load().rows.get("origins", {}))


@pytest.mark.asyncio
async def test_a_part_that_was_not_written_is_no_news_of_the_disk(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    kept, stats = keeper(str(directory))
    await kept.save({"a": {b"": 1}})
    keeping = asyncio.create_task(kept.keep(dict, lambda: {"a": {b"": 2}}))
    await asyncio.sleep(0)
    assert kept._file is not None
    await kept._write(kept._file.save_part, {"a": {b"": 2}})
    assert kept.report()["problem"] is not None
    assert stats.state_saves == 0
    keeping.cancel()
    kept.close()


class Stuck(Files):
    """A disk that does not answer until it is let go."""

    def __init__(self) -> None:
        self.release = Event()

    def sync(self, descriptor: int) -> None:
        self.release.wait(20)
        super().sync(descriptor)


@pytest.mark.asyncio
async def test_a_disk_that_does_not_answer_holds_up_the_end_for_a_bounded_time(tmp_path: Path) -> None:
    kept, stats = keeper(str(tmp_path))
    disk = Stuck()
    kept._file = StateFile(tmp_path, OWN, disk)
    try:
        async with asyncio.timeout(5):
            await kept.finish({"a": {b"": 1}})
            kept.close()
        assert stats.log_messages["warning"] == 1
    finally:
        disk.release.set()
