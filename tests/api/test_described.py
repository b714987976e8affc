"""The description is true: whatever it allows is answered as it says, whatever it does not is refused as it says.

A property-based client (schemathesis) asks a real node with a real peer, in a thread of its own.
"""

from __future__ import annotations

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
from tests.node.network import network_beside, url_of

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
    """Of a node that has a peer."""
    with network_beside(2) as (node, _):
        yield url_of(node)


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
    if isinstance(case.query.get("timeout"), int | float):
        case.query["timeout"] = min(case.query["timeout"], 0.05)  # no more peers acknowledge than there are
    if isinstance(case.body, dict) and isinstance(case.body.get("timeout"), int | float):
        case.body["timeout"] = min(case.body["timeout"], 0.05)
    response = case.call(base_url=url, timeout=20)
    checks = [check for check in CHECKS if check is not not_a_server_error or response.status_code not in BUSY]
    case.validate_response(response, checks=checks)
