from __future__ import annotations

import pytest

from node.api.access import Access
from node.api.problems import RequestProblem


@pytest.mark.parametrize(
    "host",
    [
        None, "", "127.0.0.1", "127.0.0.1:9464", "10.1.2.3:80", "[::1]", "[::1]:9464", "localhost", "LOCALHOST:9464",
        "seed", "node-3:9464", "app.localhost", "node.example.com", "Node.Example.COM:9464", "node.example.com.",
    ],
)  # fmt: skip
def test_addresses_short_names_and_allowed_names_may_be_asked(host: str | None) -> None:
    Access(hosts=["node.example.com"]).check_host(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "[evil.example]:80",
     "node.example.com.evil.example", "1.2.3", "x.y" * 999],
)  # fmt: skip
def test_a_name_that_a_stranger_can_make_lead_here_may_not(host: str) -> None:
    with pytest.raises(RequestProblem, match="api_hosts") as caught:
        Access(hosts=["node.example.com"]).check_host(host)
    assert caught.value.status == 403
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "target", ["/metrics", "/a?b=http://evil.example", "*", "http://10.0.0.1:80/metrics", "HTTP://seed"]
)
def test_a_target_without_a_strangers_host_may_be_asked(target: str) -> None:
    Access().check_target(target, "127.0.0.1")


@pytest.mark.parametrize(
    "target", ["http://evil.example/metrics", "http://evil.example:80", "HTTP://127.0.0.1@evil.example/", "ws://a.b/c"]
)
def test_the_host_that_a_target_names_counts_and_not_the_header(target: str) -> None:
    with pytest.raises(RequestProblem, match="not known here"):
        Access().check_target(target, "127.0.0.1")
    Access(hosts=["evil.example", "a.b"]).check_target(target, "stranger.example")


@pytest.mark.parametrize("given", ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret "])
def test_the_token_opens(given: str) -> None:
    Access("s3cret").check_token(given)


@pytest.mark.parametrize(
    "given",
    [None, "", "s3cret", "Basic s3cret", "Bearer", "Bearer s3cre", "Bearer s3cret2", "Bearer \udcff"],
)
def test_anything_else_does_not(given: str | None) -> None:
    with pytest.raises(RequestProblem) as caught:
        Access("s3cret").check_token(given)
    assert caught.value.status == 401
    assert "s3cret" not in str(caught.value)


def test_without_a_token_nobody_needs_one() -> None:
    Access().check_token(None)
    Access().check_token("Bearer whatever")


def test_what_comes_from_a_web_page_changes_nothing() -> None:
    Access.check_origin(None)
    for origin in ("http://evil.example", "null", ""):
        with pytest.raises(RequestProblem):
            Access.check_origin(origin)
