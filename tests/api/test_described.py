"""The description is true: whatever it allows is answered as it says, whatever it does not is refused as it says.

A property-based client (schemathesis) asks a real node with a real peer, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from node.api.openapi import description
from tests.node.network import network

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(120)]

schema = schemathesis.openapi.from_dict(description())

# Every object may be broadcast as far as a schema can say, and a peer may be named by any text: what is too deep or
# nobody's name is refused all the same, so that acceptance of everything that is described is not asked for.
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
BUSY = {503, 504, 502}
"""Answers of a node that cannot reach the peer that was named; described, and no fault of the server."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Of a node that has a peer, in a thread with a loop of its own."""
    ready: list[str] = []
    is_up = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def live() -> None:
        async with network(2) as (node, _):
            assert node.http_address is not None
            ready.append(f"http://127.0.0.1:{node.http_address[1]}")
            is_up.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(live()))
    thread.start()
    try:
        assert is_up.wait(50)
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(50)
        loop.close()


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_node_answers_as_it_is_described(case: Any, url: str) -> None:
    if isinstance(case.query.get("wait"), int | float):
        case.query["wait"] = min(case.query["wait"], 0.01)  # nobody needs to wait for nothing
    if isinstance(case.body, dict) and isinstance(case.body.get("timeout"), int | float):
        case.body["timeout"] = min(case.body["timeout"], 0.05)
    response = case.call(base_url=url, timeout=20)
    checks = [check for check in CHECKS if check is not not_a_server_error or response.status_code not in BUSY]
    case.validate_response(response, checks=checks)
