from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from node.api.access import Access
from node.api.handlers import TURN_CHARACTERS, WAITS_MAX
from node.api.limits import GOAL_WORDS
from node.errors import (
    AmbiguousPeer,
    Code,
    ConnectionFailed,
    NotRunning,
    PositronError,
    ReceiptTimeout,
    SendTimeout,
    UnknownPeer,
)
from tests.api.source import FakeNode, problem_of, serving

pytestmark = [pytest.mark.loopback, pytest.mark.asyncio]

SEND = "/api/v1/send"
BROADCAST = "/api/v1/broadcast"


async def test_what_is_ready_is_answered_as_it_is() -> None:
    async with serving(FakeNode()) as session:
        for path, answer in (
            ("/api/v1/node", {"name": "node-1"}),
            ("/api/v1/links", {"links": [{"transport": "udp"}]}),
            ("/api/v1/trust", {"peers": []}),
            ("/api/v1/peers/node-2", {"name": "node-2"}),
            ("/api/v1/peers/%5B::1%5D:9000", {"name": "[::1]:9000"}),
        ):
            async with session.get(path) as response:
                assert (response.status, await response.json()) == (200, answer)
        async with session.get("/api/v1/openapi.json") as response:
            assert (await response.json())["openapi"] == "3.1.0"


QLOG = "/api/v1/peers/node-2/qlog"


async def test_a_recording_is_begun_ended_and_fetched() -> None:
    source = FakeNode()
    async with serving(source) as session:
        for body, recorded in (
            ({"is_recording": True}, ("node-2", 1 << 20)),
            ({"is_recording": True, "bytes_max": 70_000}, ("node-2", 70_000)),
            ({"is_recording": False}, ("node-2", 0)),
        ):
            async with session.post(QLOG, json=body) as response:
                answer = {"is_recording": body["is_recording"], "was_recording": len(source.recorded) > 1}
                assert (response.status, await response.json()) == (200, answer)
            assert source.recorded[-1] == recorded
        async with session.get(QLOG) as response:
            assert (response.status, response.content_type) == (200, "application/qlog+json-seq")
            assert await response.read() == b'\x1e{"title": "node-2"}\n'
        for body in ({}, {"is_recording": 1}, {"is_recording": True, "bytes_max": 1}, {"is_recording": True, "x": 1}):
            async with session.post(QLOG, json=body) as response:
                assert response.status == 400
        source.error = UnknownPeer("nothing was recorded")
        async with session.get(QLOG) as response:
            assert await problem_of(response) == (404, "nothing was recorded")
        async with session.post(QLOG, json={"is_recording": True}) as response:
            assert await problem_of(response) == (404, "nothing was recorded")
        async with session.post(QLOG, json={"is_recording": True}, headers={"Origin": "http://elsewhere"}) as response:
            assert response.status == 403


async def test_a_send_is_passed_on_with_its_defaults() -> None:
    source = FakeNode()
    async with serving(source) as session:
        async with session.post(SEND, json={"to": "node-2", "data": [1, None]}) as response:
            assert (response.status, await response.json()) == (200, {"to": "node-2"})
        async with session.post(SEND, json={"to": "x", "data": "", "reliable": False, "timeout": 2}) as response:
            assert response.status == 200
    assert source.sent == [("node-2", [1, None], True, 5.0), ("x", "", False, 2.0)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownPeer("no such"), 404),
        (AmbiguousPeer("two"), 409),
        (SendTimeout("late"), 504),
        (ConnectionFailed(Code.IDLE_TIMEOUT, "gone"), 502),
        (NotRunning("stopped"), 503),
    ],
)
async def test_each_way_in_which_a_send_can_fail_has_its_status(error: PositronError, status: int) -> None:
    source = FakeNode()
    source.error = error
    async with serving(source) as session:
        async with session.post(SEND, json={"to": "x", "data": 1}) as response:
            assert await problem_of(response) == (status, str(error))
        if isinstance(error, UnknownPeer | AmbiguousPeer):
            async with session.get("/api/v1/peers/x") as response:
                assert await problem_of(response) == (status, str(error))


async def test_a_broadcast_is_waited_for_as_far_as_the_query_says() -> None:
    source = FakeNode()
    async with serving(source) as session:
        for query, status in (
            ({}, 202),
            ({"wait": "queued"}, 202),
            ({"wait": "acked:3", "timeout": "2.5"}, 200),
            ({"wait": "covered"}, 200),
        ):
            async with session.post(BROADCAST, json={}, params=query) as response:
                assert (response.status, await response.json()) == (status, {"message_id": "ab" * 16})
    assert source.waited == [("queued", 5.0), ("queued", 5.0), ("acked:3", 2.5), ("covered", 5.0)]


async def test_a_broadcast_that_did_not_come_so_far_tells_how_far_it_came() -> None:
    source = FakeNode()
    source.error = ReceiptTimeout("ab" * 16, acked=2, covered=4, members=9)
    async with serving(source) as session, session.post(BROADCAST, json={}, params={"wait": "acked:3"}) as response:
        assert (response.status, response.content_type) == (504, "application/problem+json")
        body = await response.json()
    assert body["detail"] == "broadcast abababab: 2 acknowledged, 4 of 9 members have it"
    assert {name: body[name] for name in ("message_id", "acked", "covered", "members")} == {
        "message_id": "ab" * 16,
        "acked": 2,
        "covered": 4,
        "members": 9,
    }


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        *(
            ({"wait": word}, GOAL_WORDS)
            for word in ("", "all", "acked:0", "acked:-1", "acked:1e3", "ACKED:1", "acked:1\n")
        ),
        *(({"timeout": word}, "a number from 0.001 to 60.0") for word in ("0", "61", "nan", "-1", "soon")),
        ({"until": "acked:3"}, "wait, timeout"),
    ],
)
async def test_a_wait_that_cannot_be_is_refused_before_anything_is_sent(query: dict[str, str], allowed: str) -> None:
    source = FakeNode()
    async with serving(source) as session, session.post(BROADCAST, json={}, params=query) as response:
        status, detail = await problem_of(response)
    assert (status, source.published) == (400, [])
    assert detail.endswith(f"allowed is {allowed}")


async def test_a_page_goes_on_where_the_last_one_ended() -> None:
    source = FakeNode()
    for text in ("one", "two", "three"):
        source.messages.journal.append(text)
    async with serving(source) as session:
        async with session.get("/api/v1/messages", params={"limit": 2}) as response:
            page = await response.json()
        assert page["entries"] == ["one", "two"]
        async with session.get("/api/v1/messages", params={"after": page["cursor"]}) as response:
            assert (await response.json())["entries"] == ["three"]
        async with session.get("/api/v1/messages", params={"tail": 1}) as response:
            assert (await response.json())["entries"] == ["three"]
        async with session.get("/api/v1/messages", params={"tail": 1, "after": "a-1"}) as response:
            assert (await problem_of(response))[0] == 400
        async with session.get("/api/v1/history", params={"after": "nonsense"}) as response:
            assert (await problem_of(response))[0] == 400


async def test_a_question_that_waits_is_answered_with_the_news_and_holds_up_nobody() -> None:
    source = FakeNode()
    async with serving(source) as session, asyncio.timeout(20):
        waiting = asyncio.ensure_future(session.get("/api/v1/history", params={"wait": 30}))
        while not source.history.journal._waiting:
            async with session.get("/api/v1/stats") as response:
                assert response.status == 200
        source.history.journal.append("news")
        async with await waiting as response:
            assert (await response.json())["entries"] == ["news"]


async def test_a_question_that_waits_in_vain_is_answered_with_nothing() -> None:
    async with serving(FakeNode()) as session, session.get("/api/v1/history", params={"wait": 0.01}) as response:
        assert await response.json() == {"entries": [], "cursor": "a-0", "missed": 0, "is_reset": False}


async def test_questions_that_wait_are_bounded_and_end_when_the_node_does() -> None:
    source = FakeNode()
    async with asyncio.timeout(30):
        async with serving(source) as session:
            session._connector._limit = 0  # type: ignore[union-attr]  # as many connections as wanted
            waiting = [
                asyncio.ensure_future(session.get("/api/v1/messages", params={"wait": 30})) for _ in range(WAITS_MAX)
            ]
            while len(source.messages.journal._waiting) < WAITS_MAX:
                await asyncio.sleep(0)
            async with session.get("/api/v1/messages", params={"wait": 30}) as response:
                assert (await problem_of(response))[0] == 503
            source.messages.wake()
            for question in waiting:
                async with await question as response:
                    assert response.status == 200


async def test_without_the_token_nothing_but_health_answers() -> None:
    source = FakeNode()
    async with serving(source, Access("s3cret")) as session:
        for path in ("/metrics", "/api/v1/stats", "/api/v1/messages", "/api/v1/openapi.json"):
            async with session.get(path) as response:
                assert (await problem_of(response))[0] == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
            async with session.get(path, headers={"Authorization": "Bearer s3cret"}) as response:
                assert response.status == 200
        async with session.post("/api/v1/broadcast", json={}) as response:
            assert (await problem_of(response))[0] == 401
        for path in ("/healthz", "/readyz"):
            async with session.get(path) as response:
                assert response.status == 200
    assert source.published == []


async def test_a_name_that_was_made_to_lead_here_gets_no_answer_but_health() -> None:
    source = FakeNode()
    headers = {"Host": "evil.example"}
    async with serving(source) as session:
        for path in ("/metrics", "/api/v1/stats"):
            async with session.get(path, headers=headers) as response:
                assert (await problem_of(response))[0] == 403
        async with session.post("/api/v1/broadcast", json={}, headers=headers) as response:
            assert (await problem_of(response))[0] == 403
        async with session.get("/healthz", headers=headers) as response:
            assert response.status == 200
    assert source.published == []


async def test_links_are_impaired_only_where_that_is_switched_on() -> None:
    node = FakeNode()
    async with serving(node) as session:
        async with session.post("/api/v1/chaos/heal", json={"step": "f"}) as response:
            assert await response.json() == {"command": "heal", "body": {"step": "f"}}
        async with session.post("/api/v1/chaos/nonsense", json={}) as response:
            assert response.status == 404
            assert "allowed is one of links" in (await response.json())["detail"]
        node.has_chaos = False
        async with session.get("/api/v1/chaos") as response:
            assert response.status == 404
            assert "chaos_control is off" in (await response.json())["detail"]


class Slow(Sequence[str]):
    """Entries that take note of the turns that others had before each was made."""

    def __init__(self, count: int) -> None:
        self.turns, self._count = 0, count
        self.seen: list[int] = []

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if index >= self._count:
            raise IndexError
        self.seen.append(self.turns)
        return "x" * TURN_CHARACTERS

    async def take_turns(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


async def test_large_entries_leave_the_peers_their_turn_however_many_ask() -> None:
    entries, source = Slow(8), FakeNode()
    page = {"entries": entries, "cursor": "a-8", "missed": 0, "is_reset": False}
    source.messages.tail = lambda number: page  # type: ignore[method-assign]  # a page of large entries
    counting = asyncio.create_task(entries.take_turns())
    async with serving(source) as session:

        async def ask() -> dict[str, Any]:
            async with session.get("/api/v1/messages?tail=8") as response:
                found: dict[str, Any] = await response.json()
                return found

        answers = await asyncio.gather(ask(), ask(), ask())
    counting.cancel()
    assert all(answer == {**page, "entries": ["x" * TURN_CHARACTERS] * 8} for answer in answers)
    # Of each page the last entry is followed by a turn too, and the next page begins after it.
    assert all(later > earlier for earlier, later in pairwise(entries.seen))
    assert len(entries.seen) == 24
