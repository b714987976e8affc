from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest

from node.api.routes import ROUTES
from node.api.schemas import SCHEMAS
from node.cli.board import Board
from node.node import api_source
from tests.node.network import Inbox, network, udp_address, until, url_of
from tests.transport.qlog import parsed

pytestmark = [pytest.mark.loopback, pytest.mark.asyncio]


async def ask(session: aiohttp.ClientSession, path: str, **query: Any) -> Any:
    async with session.get(path, params=query) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def test_every_answer_of_a_real_node_has_the_form_that_is_promised() -> None:
    async with network(2, chaos_control=True) as (one, two), aiohttp.ClientSession(url_of(one)) as session:
        inbox = Inbox()
        one.register_data_handler(inbox)
        await two.broadcast({"raw": b"\x01"})
        await inbox.wait_for(1)
        for route in ROUTES:
            if route.method != "GET" or route.media != "application/json":
                continue
            answer = await ask(session, route.path.replace("{peer}", two.name))
            (schema, _) = route.answers[200]
            jsonschema.validate(answer, {**schema, "components": {"schemas": SCHEMAS}})


async def test_a_message_can_be_sent_by_every_name_of_a_peer_and_read_at_its_end() -> None:
    async with network(2) as (one, two), aiohttp.ClientSession(url_of(one)) as session:
        host, port = udp_address(two)
        names = [two.identity.node_id, two.identity.node_id[:8], two.name, f"{host}:{port}"]
        for name in names:
            async with session.post("/api/v1/send", json={"to": name, "data": {"to": name}}) as response:
                answer = await response.json()
                assert response.status == 200, answer
                assert answer["is_acknowledged"]
                assert answer["seconds"] > 0
        async with aiohttp.ClientSession(url_of(two)) as other:
            page = await ask(other, "/api/v1/messages", wait=20)
            while len(page["messages"]) < len(names):
                page["messages"] += (await ask(other, "/api/v1/messages", after=page["cursor"], wait=20))["messages"]
        assert sorted(message["data"]["to"] for message in page["messages"]) == sorted(names)
        assert {message["origin"] for message in page["messages"]} == {one.identity.node_id}
        assert not any(message["is_broadcast"] for message in page["messages"])


async def test_the_histories_of_two_nodes_tell_one_story() -> None:
    async with network(2) as (one, two):
        inbox = Inbox()
        two.register_data_handler(inbox)
        async with (
            aiohttp.ClientSession(url_of(one)) as session,
            session.post("/api/v1/broadcast", json={"n": 1}) as response,
        ):
            message_id = (await response.json())["message_id"]
        await inbox.wait_for(1)

        told = {node.name: list(node.chronicle.history.page(None, 100)["events"]) for node in (one, two)}

        assert [event["kind"] for event in told[one.name]] == ["started", "peer_up", "published"]
        assert [event["kind"] for event in told[two.name]] == ["started", "peer_up", "delivered"]
        assert told[one.name][-1]["message_id"] == told[two.name][-1]["message_id"] == message_id
        assert told[two.name][-1]["origin"] == one.identity.node_id
        assert all(event["monotonic"] > 0 and event["at"] > 1.7e9 for events in told.values() for event in events)
        json.dumps(told, allow_nan=False)


async def test_a_peer_that_leaves_is_down_in_the_history() -> None:
    async with network(2) as (one, two), asyncio.timeout(20):
        cursor = one.chronicle.history.tail(0)["cursor"]
        await two.stop()
        await one.chronicle.history.changed(cursor, 20)

        (event,) = one.chronicle.history.page(cursor, 10)["events"]
        assert (event["kind"], event["node_id"], event["reason"]) == ("peer_down", two.identity.node_id, "left")


async def test_a_peer_is_shown_with_its_links() -> None:
    async with network(2) as (one, two), aiohttp.ClientSession(url_of(one)) as session:
        peer = await ask(session, f"/api/v1/peers/{two.identity.node_id[:8]}")
        assert peer["name"] == two.name
        assert {link["node_id"] for link in peer["links"]} == {two.identity.node_id}
        async with session.get("/api/v1/peers/nobody") as response:
            assert response.status == 404


async def test_a_connection_is_recorded_on_demand_and_fetched() -> None:
    async with network(2) as (one, two), aiohttp.ClientSession(url_of(one)) as session:
        path = f"/api/v1/peers/{two.name}/qlog"
        async with session.get(path) as response:
            assert response.status == 404
        for was_recording in (False, True):
            async with session.post(path, json={"is_recording": True}) as response:
                assert await response.json() == {"is_recording": True, "was_recording": was_recording}
        await one.send_message(two.identity.node_id, {"text": "hello"})
        async with session.get(path) as response:
            names = [record.get("name") for record in parsed(await response.read())]
            assert {"connectivity:connection_started", "transport:packet_sent"} <= set(names)
        async with session.post(path, json={"is_recording": False}) as response:
            assert await response.json() == {"is_recording": False, "was_recording": True}
        async with session.get(path) as response:
            assert len(parsed(await response.read())) >= len(names), "what was recorded can still be read"
        async with session.post("/api/v1/peers/nobody/qlog", json={"is_recording": True}) as response:
            assert response.status == 404


async def test_only_so_many_connections_are_recorded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_source, "RECORDINGS_MAX", 1)
    async with network(3) as (one, two, three), aiohttp.ClientSession(url_of(one)) as session:
        for peer, status in ((two, 200), (three, 503), (two, 200)):
            path = f"/api/v1/peers/{peer.name}/qlog"
            async with session.post(path, json={"is_recording": True}) as response:
                assert response.status == status


async def test_every_connection_of_a_node_with_a_directory_becomes_a_file(tmp_path: Path) -> None:
    async with network(2, qlog_dir=str(tmp_path)) as (one, two):
        await one.send_message(two.identity.node_id, {"text": "hello"})
    files = sorted(tmp_path.iterdir())
    assert sorted(path.name[:8] for path in files) == sorted(node.identity.node_id[:8] for node in (one, two))
    for path in files:
        assert path.suffix == ".sqlog"
        names = [record.get("name") for record in parsed(path.read_bytes())]
        assert names[-1] != "loglevel:warning"
        assert {"connectivity:connection_started", "connectivity:connection_closed"} <= set(names)


async def test_the_token_of_the_configuration_is_asked_for() -> None:
    async with network(1, api_token="s3cret") as (node,), aiohttp.ClientSession(url_of(node)) as session:
        async with session.get("/api/v1/stats") as response:
            assert response.status == 401
        async with session.get("/api/v1/stats", headers={"Authorization": "Bearer s3cret"}) as response:
            assert response.status == 200


def jump(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Somebody sets the wall clock of this machine by so much; the monotonic clock goes on as it did."""
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + int(seconds * 1e9))
    monkeypatch.setattr(time, "time", lambda: right() / 1e9 + seconds)


@pytest.mark.parametrize("seconds", [86_400.0, -86_400.0], ids=["a day ahead", "a day back"])
async def test_a_clock_that_jumps_makes_no_rate_negative_and_is_told(
    seconds: float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with network(2) as (one, two), aiohttp.ClientSession(url_of(one)) as session:
        inbox = Inbox()
        two.register_data_handler(inbox)
        board = Board()
        before = await scrape(session)
        board.update(await ask(session, "/api/v1/stats"), time.monotonic())

        jump(monkeypatch, seconds)
        await one.broadcast({"after": "the jump"})
        await inbox.wait_for(1)
        await until(lambda: "wall_clock_set" in caplog.messages)
        after = await scrape(session)
        board.update(await ask(session, "/api/v1/stats"), time.monotonic())

        counters = [name for name in before if "_total{" in name or "_bucket{" in name or "_sum{" in name]
        assert len(counters) > 100
        assert [name for name in counters if after.get(name, 0.0) < before[name]] == []
        shift = next(value for name, value in after.items() if name.startswith("positron_wall_clock_shift_seconds"))
        assert shift == pytest.approx(seconds, abs=30)
        assert all(one["rtt"] is None or one["rtt"] >= 0 for one in await peers_of(session))
        assert all(one["last_seen_ago"] >= 0 for one in await peers_of(session))
        record = board.record()
        rates = [value for name, value in record.items() if name.endswith("_per_second")]
        assert min(rates) >= 0
        assert record["links"]
        assert all(link["messages_per_second"] >= 0 for link in record["links"])
        assert any(line.startswith("clock     was set ") for line in board.lines())
        assert [record.levelname for record in caplog.records if record.getMessage() != "wall_clock_set"] == []


@pytest.mark.parametrize("end", ["reset", "closed", "unfinished", "silent"])
async def test_a_scrape_that_is_cut_harms_neither_the_node_nor_the_next_scrape(
    end: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with network(2) as (one, two), aiohttp.ClientSession(url_of(one)) as session:
        whole = await scrape(session)
        assert one.http_address is not None
        host, port = one.http_address
        question = b"GET /metrics HTTP/1.1\r\nHost: node\r\n\r\n"
        cut: list[asyncio.StreamWriter] = []
        for number in range(20):
            # Far more than its socket takes in, so that the node still writes when its reader goes.
            reader, writer = await asyncio.open_connection(host, port, limit=1024)
            cut.append(writer)
            writer.write(question[:-2] if end == "unfinished" else question * 20)
            if end != "unfinished":
                await reader.readexactly(1 + 100 * (number % 3))
            if end == "reset":
                option = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            if end != "silent":
                writer.close()

        again = await scrape(session)

        assert again.keys() >= whole.keys()
        assert again[f'positron_peers{{node="{one.name}",state="up"}}'] == 1
        errors = [name for name in again if name.startswith("positron_log_messages_total") and 'level="error"' in name]
        assert [again[name] for name in errors] == [0.0]
        inbox = Inbox()
        two.register_data_handler(inbox)
        await one.broadcast({"still": "there"})
        await inbox.wait_for(1)
        for writer in cut:
            writer.transport.abort()
    assert caplog.records == []


async def scrape(session: aiohttp.ClientSession) -> dict[str, float]:
    """The value of every series of one scrape, which arrived whole."""
    async with session.get("/metrics") as response:
        assert response.status == 200
        text = await response.text()
    assert text.endswith("\n")
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }


async def peers_of(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await ask(session, "/api/v1/peers"))["peers"]
    return found
