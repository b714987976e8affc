from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from node.node import resolver
from node.node.resolver import ResolutionError, family_of, resolve


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_ip_literal_is_its_own_answer(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)

    assert await resolve((host, 9000)) == ((host, 9000),)


@pytest.mark.asyncio
async def test_a_name_gives_each_of_its_addresses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = [(0, 0, 0, "", ("10.0.0.2", 9000)), (0, 0, 0, "", ("10.0.0.1", 9000)), (0, 0, 0, "", ("10.0.0.2", 9000))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)

    assert await resolve(("seed", 9000), socket.AF_INET) == (("10.0.0.2", 9000), ("10.0.0.1", 9000))


@pytest.mark.asyncio
async def test_an_unknown_name_is_one_error_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(ResolutionError, match="Name or service not known"):
        await resolve(("seed", 9000))


@pytest.mark.asyncio
async def test_a_name_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gate.wait(10) and [])
    monkeypatch.setattr(resolver, "LOOKUP_TIMEOUT", 0.01)

    try:
        with pytest.raises(ResolutionError, match="no answer within"):
            await resolve(("seed", 9000))
    finally:
        gate.set()


def test_a_look_up_does_not_hold_up_the_end_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: gate.wait(10) and [])

    async def begin_and_leave() -> None:
        task = asyncio.get_running_loop().create_task(resolve(("seed", 9000)))
        await asyncio.sleep(0)
        task.cancel()

    try:
        asyncio.run(begin_and_leave())
        assert not gate.is_set()
    finally:
        gate.set()


def test_a_socket_reaches_the_addresses_of_its_family() -> None:
    assert family_of("0.0.0.0") == socket.AF_INET
    assert family_of("::") == socket.AF_UNSPEC
    assert family_of("::1") == socket.AF_INET6
