from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from node.core.events import DialFailed, Problem
from node.errors import Code, ConnectionFailed, NotRunning, SendTimeout, StartError, UnknownPeer, UsageError
from node.node import Node
from tests.node.network import Inbox, address_text, configuration, network, udp_address, until

pytestmark = pytest.mark.loopback


def clean_json(node: Node) -> dict[str, object]:
    stats = node.get_stats()
    assert json.loads(json.dumps(stats, allow_nan=False)) == stats
    return stats


# ------------------------------------------------------------------------------------------------------------ messages


@pytest.mark.asyncio
async def test_every_node_delivers_every_broadcast_of_every_other_exactly_once() -> None:
    async with network(3) as nodes:
        inboxes = [Inbox() for _ in nodes]
        for node, inbox in zip(nodes, inboxes, strict=True):
            node.register_data_handler(inbox)

        sent = {node.identity.node_id: [await node.broadcast({"n": n}) for n in range(20)] for node in nodes}

        for inbox in inboxes:
            await inbox.wait_for(40)
        await until(lambda: all(node.snapshot().gossip.published == 20 for node in nodes))
        assert len({message_id for ids in sent.values() for message_id in ids}) == 60
        for node, inbox in zip(nodes, inboxes, strict=True):
            counts = Counter((sender, data["n"]) for data, sender in inbox.messages)
            others = [other.identity.node_id for other in nodes if other is not node]
            assert counts == {(sender, n): 1 for sender in others for n in range(20)}


@pytest.mark.asyncio
@pytest.mark.parametrize("message", [{"text": "hello"}, b"Hello, peer!", "text", [1, 2.5, None]])
async def test_a_message_to_one_node_arrives_there_with_its_author(message: object) -> None:
    async with network(2) as (first, second):
        inbox = Inbox()
        second.register_data_handler(inbox)

        await first.send_message(udp_address(second), message)  # type: ignore[arg-type]  # values of several types
        await first.send_message(second.identity.node_id, message, reliable=False)  # type: ignore[arg-type]  # as above

        assert await inbox.wait_for(2) == [(message, first.identity.node_id)] * 2


@pytest.mark.asyncio
async def test_a_message_to_an_address_dials_it_first() -> None:
    async with Node(configuration()) as first, Node(configuration()) as second:
        inbox = Inbox()
        second.register_data_handler(inbox)

        await first.send_message(address_text(second), {"text": "hello"})

        assert await inbox.wait_for(1) == [({"text": "hello"}, first.identity.node_id)]
        assert udp_address(second) in first.peer_manager.active_peers


@pytest.mark.asyncio
async def test_a_message_to_nobody_fails_in_time_and_leaves_nothing_behind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        async with Node(configuration()) as node:
            with pytest.raises((SendTimeout, ConnectionFailed)):
                await node.send_message(silent.getsockname(), b"anybody?", timeout=0.2)
            with pytest.raises(SendTimeout):
                await node.peer_manager.connect_to_peer(silent.getsockname(), timeout=0.2)


@pytest.mark.asyncio
async def test_what_no_message_can_hold_is_refused_and_nothing_is_sent() -> None:
    async with network(2) as (first, _):
        with pytest.raises(UsageError, match="allowed are"):
            await first.broadcast({"x": b"x" * (1 << 20)})
        with pytest.raises(UsageError):
            await first.broadcast({"x": float("nan")})
        with pytest.raises(UsageError):
            await first.broadcast({"x": object()})  # type: ignore[dict-item]  # the mistake tested
        with pytest.raises(UsageError):
            await first.broadcast([1])  # type: ignore[arg-type]  # the mistake tested
        with pytest.raises(UnknownPeer):
            await first.send_message("ab" * 32, {})
        with pytest.raises(UsageError):
            await first.send_message("nonsense", {})

        assert first.snapshot().gossip.published == 0


@pytest.mark.asyncio
async def test_a_handler_that_raises_is_counted_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with network(2) as (first, second):
        inbox = Inbox()

        def broken(data: object, sender_id: str) -> None:
            raise ValueError("why")

        second.register_data_handler(broken)
        second.register_data_handler(inbox)

        await first.broadcast({"n": 1})
        await first.broadcast({"n": 2})

        await inbox.wait_for(2)
        await until(lambda: second._runtime.handler_errors == 2)
    assert [record for record in caplog.records if record.getMessage() == "handler_failed"]


# ---------------------------------------------------------------------------------------------------------------- life


@pytest.mark.asyncio
async def test_statistics_are_clean_json_with_the_documented_keys_in_every_state() -> None:
    first = Node(configuration(is_seed=True))
    before = clean_json(first)
    await first.start()
    async with Node(configuration(bootstrap_nodes=[address_text(first)])) as second:
        await until(lambda: len(second.peer_manager.active_peers) == 1)
        await until(lambda: len(first.peer_manager.active_peers) == 1)
        during = clean_json(first)
        connections = during["connections"]
        assert isinstance(connections, dict)
        assert {"state", "rtt", "rto", "retransmissions"} <= set(connections[second.identity.node_id])
    await first.stop()
    after = clean_json(first)

    assert set(before) == set(during) == set(after)
    assert [stats["state"] for stats in (before, during, after)] == ["new", "running", "stopped"]
    assert [stats["node_id"] for stats in (before, during, after)] == [first.identity.node_id] * 3


@pytest.mark.asyncio
async def test_nothing_can_be_sent_before_start_and_after_stop() -> None:
    node = Node(configuration())
    await _assert_not_running(node)
    await node.start()
    await node.stop()
    await _assert_not_running(node)


@pytest.mark.asyncio
async def test_starting_or_stopping_twice_does_nothing() -> None:
    node = Node(configuration())
    await node.stop()
    await node.start()
    await node.start()
    await asyncio.gather(node.stop(), node.stop())
    await node.stop()


@pytest.mark.asyncio
async def test_a_node_that_was_stopped_takes_part_again_with_its_key_and_handlers() -> None:
    async with network(2) as (first, second):
        inbox = Inbox()
        second.register_data_handler(inbox)
        await second.stop()
        await second.start()
        assert second.get_stats()["state"] == "running"
        await second.peer_manager.connect_to_peer(udp_address(first))
        await first.broadcast({"n": 1})
        await second.broadcast({"n": 2})
        assert await inbox.wait_for(1) == [({"n": 1}, first.identity.node_id)]


@pytest.mark.asyncio
async def test_a_node_that_is_stopping_cannot_be_started_yet() -> None:
    node = Node(configuration())
    await node.start()
    stopping = asyncio.create_task(node.stop())
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match="stopping"):
        await node.start()
    await stopping


@pytest.mark.asyncio
async def test_stopping_a_connected_node_takes_less_than_a_second() -> None:
    async with network(5) as nodes:
        for node in nodes:
            async with asyncio.timeout(1):
                await node.stop()


@pytest.mark.asyncio
async def test_a_peer_that_stops_says_so_to_the_others() -> None:
    async with network(3) as (first, second, third):
        await third.stop()

        await until(lambda: len(first.peer_manager.active_peers) == len(second.peer_manager.active_peers) == 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("field", ["port", "tcp_port", "metrics_port"])
async def test_a_port_that_is_taken_is_named_and_nothing_stays_open(field: str, tmp_path: Path) -> None:
    kind = socket.SOCK_DGRAM if field == "port" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as occupier:
        occupier.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            occupier.listen()
        taken = occupier.getsockname()[1]
        ports = {"port": _free_port(), "tcp_port": _free_port(), "metrics_port": _free_port()} | {field: taken}
        node = Node(configuration(**ports, data_dir=str(tmp_path)))

        with pytest.raises(StartError) as caught:
            await node.start()

        assert f":{taken}" in str(caught.value)
        assert f"--{field.replace('_', '-')} or POSITRON_{field.upper()}" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert clean_json(node)["state"] == "new"
    async with node:  # every other port, and the data directory, are free again
        assert clean_json(node)["state"] == "running"


@pytest.mark.asyncio
async def test_two_nodes_cannot_share_a_data_directory(tmp_path: Path) -> None:
    async with Node(configuration(data_dir=str(tmp_path))) as first:
        second = Node(configuration(data_dir=str(tmp_path)))
        assert second.identity.node_id == first.identity.node_id

        with pytest.raises(StartError, match=r"in use by another node; choose another with --data-dir or --port"):
            await second.start()


@pytest.mark.asyncio
async def test_a_node_that_is_made_anew_has_the_same_key_and_finds_its_peers_again(tmp_path: Path) -> None:
    async with network(2) as (first, second):
        seeds = [address_text(first), address_text(second)]
        async with Node(configuration(data_dir=str(tmp_path), bootstrap_nodes=seeds)) as third:
            await until(lambda: len(third.peer_manager.active_peers) == 2)
        async with Node(configuration(data_dir=str(tmp_path), bootstrap_nodes=seeds)) as again:
            await until(lambda: len(again.peer_manager.active_peers) == 2)

            assert again.identity.node_id == third.identity.node_id
            inbox = Inbox()
            first.register_data_handler(inbox)
            await again.broadcast({"n": 1})
            assert await inbox.wait_for(1) == [({"n": 1}, third.identity.node_id)]


# -------------------------------------------------------------------------------------------------------------- trouble


@pytest.mark.asyncio
async def test_an_unknown_bootstrap_host_is_a_warning_and_the_node_runs(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "positron"):
        async with Node(configuration(bootstrap_nodes=["no-such-host.invalid:9000"])) as node:
            await until(lambda: any(record.getMessage() == "bootstrap_unknown" for record in caplog.records))
            assert clean_json(node)["state"] == "running"


@pytest.mark.asyncio
async def test_a_node_of_another_network_is_refused_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "positron"):
        async with Node(configuration(is_seed=True)) as first:
            stranger = Node(configuration(network_id="other", bootstrap_nodes=[address_text(first)]))
            async with stranger:
                await until(lambda: any(record.getMessage() == "network_mismatch" for record in caplog.records))
                assert not stranger.peer_manager.active_peers
                assert not first.peer_manager.active_peers


@pytest.mark.asyncio
async def test_a_seed_that_does_not_answer_is_one_warning_until_it_was_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = Node(configuration(is_seed=True, enable_http=False))
    await node.start()
    port = udp_address(node)[1]
    await node.stop()
    with caplog.at_level(logging.DEBUG, "positron"):
        async with Node(configuration(enable_tcp=False, bootstrap_nodes=[f"127.0.0.1:{port}"])) as waiting:
            failed = DialFailed(
                address=("127.0.0.1", port), code=Code.HANDSHAKE_TIMEOUT, reason="", hint="", is_final=False
            )
            await until(lambda: bool(waiting._unreachable))
            waiting.dial_failed(failed)
            waiting.dial_failed(failed)
            async with Node(configuration(port=port, data_dir="", is_seed=True, metrics_port=0, tcp_port=0)):
                await until(lambda: len(waiting.peer_manager.active_peers) == 1)
            waiting.dial_failed(failed)

    assert [record.getMessage() for record in caplog.records].count("bootstrap_unreachable") == 2


@pytest.mark.asyncio
async def test_a_seed_list_that_names_the_node_itself_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "positron"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        own = f"127.0.0.1:{port}"
        async with Node(configuration(port=port, bootstrap_nodes=[own], data_dir="", metrics_port=0, tcp_port=0)):
            await until(lambda: any(record.getMessage() == "dial_failed" for record in caplog.records))

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.asyncio
async def test_a_node_that_stops_while_it_dials_says_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        async with Node(configuration(bootstrap_nodes=[f"127.0.0.1:{silent.getsockname()[1]}"])):
            await asyncio.get_running_loop().sock_recv(silent, 2048)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.asyncio
async def test_what_is_told_as_a_problem_is_not_told_a_second_time(caplog: pytest.LogCaptureFixture) -> None:
    async with Node(configuration(network_id="one", is_seed=True)) as first:
        seeds = [address_text(first)]
        async with Node(configuration(network_id="two", bootstrap_nodes=seeds)):
            await until(lambda: any(record.getMessage() == "network_mismatch" for record in caplog.records))

    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == ["network_mismatch"]


@pytest.mark.asyncio
async def test_what_the_machine_reports_is_one_warning_line(caplog: pytest.LogCaptureFixture) -> None:
    node = Node(configuration())

    node.problem(Problem(kind="identity_conflict", text="the node at 127.0.0.1:9 is another process with this key"))

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", "identity_conflict")]


@pytest.mark.asyncio
@pytest.mark.parametrize("off", ["enable_udp", "enable_tcp"])
async def test_one_transport_carries_everything_when_the_other_is_off(off: str) -> None:
    async with Node(configuration(is_seed=True, **{off: False})) as first:
        transport = first.tcp_transport if off == "enable_udp" else first.udp_transport
        assert transport is not None
        assert (first.udp_transport is None) == (off == "enable_udp")
        host, port = transport.local_address
        async with Node(configuration(bootstrap_nodes=[f"{host}:{port}"], **{off: False})) as second:
            inbox = Inbox()
            first.register_data_handler(inbox)
            await until(lambda: len(second.peer_manager.active_peers) == 1)

            await second.broadcast({"n": 1})
            await second.send_message(first.identity.node_id, b"x" * 100_000)

            messages = await inbox.wait_for(2)
            assert sorted(len(data) for data, _ in messages) == [1, 100_000]
            clean_json(first)


@pytest.mark.asyncio
async def test_a_bug_in_the_upkeep_ends_the_wait_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("node.node.node.measure_lag", broken)
    async with Node(configuration()) as node, asyncio.timeout(5):
        with pytest.raises(ExceptionGroup) as caught:
            await node.wait()

    assert caught.group_contains(ZeroDivisionError)


# ---------------------------------------------------------------------------------------------------------------- views


@pytest.mark.asyncio
async def test_peers_are_found_by_address_and_by_key() -> None:
    async with Node(configuration()) as first, Node(configuration()) as second:
        found = await first.peer_manager.connect_to_peer(udp_address(second))

        assert found == second.identity.node_id
        assert await first.peer_manager.connect_to_peer(udp_address(second)) == found
        active = first.peer_manager.active_peers
        assert udp_address(second) in active
        assert second.identity.node_id in active
        assert ("127.0.0.1", 1) not in active
        assert list(active) == [second.identity.node_id]
        assert active[second.identity.node_id]["state"] == "up"
        stats = first.peer_manager.get_connection_stats(udp_address(second))
        assert stats["state"] == "established"
        assert first.peer_manager.get_connection_stats(("127.0.0.1", 1)) == {}


@pytest.mark.asyncio
async def test_dialling_oneself_fails_with_a_reason() -> None:
    async with Node(configuration()) as node:
        with pytest.raises(ConnectionFailed):
            await node.peer_manager.connect_to_peer(udp_address(node))


@pytest.mark.asyncio
async def test_a_peer_can_be_marked_slow_and_down_and_comes_back() -> None:
    async with network(2) as (first, second):
        manager = first.peer_manager
        await manager.mark_peer_slow(second.identity.node_id)
        assert manager.active_peers[second.identity.node_id]["state"] == "slow"

        await manager.mark_peer_down(udp_address(second))
        await until(lambda: second.identity.node_id in manager.active_peers)
        await until(lambda: manager.active_peers[second.identity.node_id]["state"] == "up")


# ----------------------------------------------------------------------------------------------------------------- http


@pytest.mark.asyncio
async def test_http_shows_the_numbers_that_the_node_shows() -> None:
    async with network(2, name="node-7") as (first, second):
        assert first.http_address is not None
        host, port = first.http_address
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            async with session.get("/api/v1/stats") as response:
                stats = await response.json()
            async with session.get("/metrics") as response:
                text = await response.text()
            async with session.get("/readyz") as response:
                assert response.status == 200
            inbox = Inbox()
            second.register_data_handler(inbox)
            async with session.post("/api/v1/broadcast", json={"text": "hello"}) as response:
                assert response.status == 202
            assert await inbox.wait_for(1) == [({"text": "hello"}, first.identity.node_id)]
            for body in ({"x": 2**80}, {"x": "\ud800"}):
                async with session.post("/api/v1/broadcast", json=body) as response:
                    assert response.status == 400, await response.text()
                    assert response.content_type == "application/problem+json"

    peer = second.identity.node_id[:8]
    assert stats["connections"][second.identity.node_id]["state"] == "established"
    assert f'positron_link_state{{node="node-7",peer="{peer}"}} 3' in text
    assert f'positron_link_rto_computed_seconds{{node="node-7",peer="{peer}"}}' in text
    assert 'positron_peers{node="node-7",state="up"} 1' in text


@pytest.mark.asyncio
async def test_a_node_is_ready_once_it_has_a_peer_and_healthy_before(tmp_path: Path) -> None:
    health = tmp_path / "health"
    async with Node(configuration(health_file=str(health))) as first:
        assert first._observer.is_healthy()
        assert not first._observer.is_ready()
        assert not health.exists()
        async with Node(configuration(bootstrap_nodes=[address_text(first)])):
            await until(first._observer.is_ready)
            await until(health.exists)
    assert not health.exists()


@pytest.mark.asyncio
async def test_datagrams_are_sent_one_by_one_while_the_network_is_impaired(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    file.write_text('{"backend": "netem", "loss_ratio": 0.1}')
    async with Node(configuration(impairment_file=str(file), segments_max=7)) as node:
        assert node._engine is not None
        endpoint = node._engine.machine.udp
        assert endpoint is not None
        assert endpoint.segments_max == 1
        file.unlink()
        await until(lambda: endpoint.segments_max == 7)


@pytest.mark.asyncio
async def test_a_node_without_http_opens_no_port_for_it() -> None:
    async with Node(configuration(enable_http=False)) as node:
        assert node.http_address is None


async def _assert_not_running(node: Node) -> None:
    with pytest.raises(NotRunning):
        await node.broadcast({})
    with pytest.raises(NotRunning):
        await node.send_message(("127.0.0.1", 9), {})
    with pytest.raises(NotRunning):
        await node.peer_manager.connect_to_peer(("127.0.0.1", 9))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
