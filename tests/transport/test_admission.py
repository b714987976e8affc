"""Who may begin a handshake: what is screened, what is counted, and what a cookie is worth."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from node.crypto.cookie import init_key, mac, network_tag
from node.errors import DecodeError, UsageError
from node.transport.admission import Admission, HalfOpen, NetworkMismatch, Verdict
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, ConnectionId
from node.wire.handshake import (
    ANSWER_TAG_BYTES,
    Init,
    InitClear,
    RefusalReason,
    init_without_mac,
    pack_clear,
    pack_init,
    parse_init,
    parse_refuse,
    parse_retry,
)
from node.wire.limits import ADMISSION_ADDRESSES_MAX, COOKIE_SECRET_LIFETIME, HALF_OPEN_MAX, INIT_BYTES

HERE: Address = ("192.0.2.1", 9000)
NOW = 1_000 * SECOND
GENTLE = TransportSettings(handshake_rate_per_address=10, handshake_rate=100)


def make_init(number: int = 1, cookie: bytes = b"", network: str = "positron") -> bytes:
    clear = pack_clear(InitClear(ConnectionId(number), network_tag(network)))
    body = init_without_mac(number.to_bytes(32, "big") + clear, cookie)
    return pack_init(body, mac(init_key(network), body))


def make_admission(settings: TransportSettings = GENTLE) -> Admission:
    return Admission(settings, lambda size: b"e" * size)


def addresses() -> list[Address]:
    return [(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 9000) for number in range(5_000)]


def with_cookie(admission: Admission, number: int = 1, address: Address = HERE, now: int = NOW) -> Init:
    retry = admission.retry(parse_init(make_init(number)), address, now)
    return admission.screen(make_init(number, parse_retry(retry)))


# --- screening


def test_an_undamaged_init_of_our_network_passes() -> None:
    assert make_admission().screen(make_init(7)).clear.source == 7


def test_an_init_of_another_network_is_told_apart_from_a_damaged_one() -> None:
    with pytest.raises(NetworkMismatch) as caught:
        make_admission().screen(make_init(7, network="other"))
    assert caught.value.init.clear.source == 7


def test_every_single_bit_of_an_init_counts() -> None:
    # The exhaustive answer to a damaged INIT: nothing behind this door ever sees one.
    admission, datagram = make_admission(), make_init(7, b"c" * 16)
    for bit in range(8 * INIT_BYTES):
        damaged = bytearray(datagram)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecodeError):
            admission.screen(bytes(damaged))


# --- rates


def under_way(number: int = 0, address: Address | None = None) -> HalfOpen:
    """So many half-open handshakes, from that address or each from one of its own."""
    half_open = HalfOpen()
    for other in addresses()[:number]:
        half_open.add(address or other)
    return half_open


def judge_many(
    admission: Admission, addresses: list[Address], now: int = NOW, half_open: HalfOpen | None = None
) -> list[Verdict]:
    numbers, half_open = count(1), half_open or under_way()
    return [admission.judge(parse_init(make_init(next(numbers))), address, half_open, now) for address in addresses]


def test_one_address_without_a_cookie_gets_half_of_its_rate() -> None:
    verdicts = judge_many(make_admission(), [HERE] * 8)
    assert verdicts == [Verdict.ADMIT] * 5 + [Verdict.RETRY] * 3


@pytest.mark.must("M17")
def test_one_address_with_cookies_gets_its_rate_and_not_more() -> None:
    admission = make_admission()
    verdicts = [admission.judge(with_cookie(admission, number), HERE, under_way(), NOW) for number in range(1, 13)]
    assert verdicts == [Verdict.ADMIT] * 10 + [Verdict.BUSY] * 2


def test_a_budget_comes_back_with_time() -> None:
    admission = make_admission()
    judge_many(admission, [HERE] * 20)
    assert judge_many(admission, [HERE] * 20, NOW + 100 * MILLISECOND).count(Verdict.ADMIT) == 1
    assert judge_many(admission, [HERE] * 20, NOW + 10 * SECOND).count(Verdict.ADMIT) == 5


def test_forged_addresses_use_up_half_of_the_total_and_a_validated_one_still_gets_in() -> None:
    admission = make_admission()
    verdicts = judge_many(admission, addresses()[:200])
    assert verdicts == [Verdict.ADMIT] * 50 + [Verdict.RETRY] * 150
    assert admission.judge(with_cookie(admission), HERE, under_way(), NOW) is Verdict.ADMIT


def test_forging_the_address_of_a_victim_does_not_lock_it_out() -> None:
    admission = make_admission()
    judge_many(admission, [HERE] * 1_000)
    assert admission.judge(with_cookie(admission), HERE, under_way(), NOW) is Verdict.ADMIT


def test_the_neighbours_in_one_ipv6_network_share_a_rate() -> None:
    near: list[Address] = [(f"2001:db8::{number:x}", 9000) for number in range(1, 9)]
    far: list[Address] = [(f"2001:db8:0:{number:x}::1", 9000) for number in range(1, 9)]
    assert judge_many(make_admission(), near).count(Verdict.ADMIT) == 5
    assert judge_many(make_admission(), far).count(Verdict.ADMIT) == 8
    assert judge_many(make_admission(), [("fe80::1%eth0", 1), ("not an address:", 1)]).count(Verdict.ADMIT) == 2


@pytest.mark.must("M15")
def test_from_half_of_the_half_open_handshakes_on_a_cookie_is_asked_for() -> None:
    for half_open, verdict in (
        (HALF_OPEN_MAX // 2 - 1, Verdict.ADMIT),
        (HALF_OPEN_MAX // 2, Verdict.RETRY),
        (HALF_OPEN_MAX, Verdict.BUSY),
    ):
        assert judge_many(make_admission(), [HERE], half_open=under_way(half_open)) == [verdict]
    admission = make_admission()
    assert admission.judge(with_cookie(admission), HERE, under_way(HALF_OPEN_MAX - 1), NOW) is Verdict.ADMIT
    assert admission.judge(with_cookie(admission, 2), HERE, under_way(HALF_OPEN_MAX), NOW) is Verdict.BUSY


@pytest.mark.must("M17")
def test_one_source_has_a_quarter_of_the_half_open_handshakes_and_half_of_it_without_a_cookie() -> None:
    share = HALF_OPEN_MAX // 4
    for here, stranger, validated in (
        (share // 2 - 1, Verdict.ADMIT, Verdict.ADMIT),
        (share // 2, Verdict.RETRY, Verdict.ADMIT),
        (share - 1, Verdict.RETRY, Verdict.ADMIT),
        (share, Verdict.RETRY, Verdict.BUSY),
    ):
        admission, half_open = make_admission(), under_way(here, HERE)
        assert judge_many(admission, [HERE], half_open=half_open) == [stranger]
        assert admission.judge(with_cookie(admission, 2), HERE, half_open, NOW) is validated
        assert judge_many(admission, addresses()[:1], half_open=half_open) == [Verdict.ADMIT]


def test_a_source_is_forgotten_with_its_last_handshake() -> None:
    near: list[Address] = [(f"2001:db8::{number:x}", 9000) for number in range(1, 9)]
    half_open = HalfOpen()
    for address in near:
        half_open.add(address)
    assert half_open.of(near[0]) == len(half_open) == 8
    for address in near:
        half_open.remove(address)
    assert half_open.of(near[0]) == len(half_open) == len(half_open._by_source) == 0


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    admission = make_admission(TransportSettings(handshake_rate=1_000_000_000))
    judge_many(admission, addresses())
    assert len(admission.rates) == ADMISSION_ADDRESSES_MAX


@pytest.mark.parametrize("name", ["half_open_max", "handshake_rate_per_address", "handshake_rate"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        replace(TransportSettings(), **{name: 0})  # type: ignore[arg-type]  # every one of them is a count


# --- cookies


def tries(admission: Admission, init: Init, address: Address, now: int) -> Verdict:
    """What becomes of an INIT when only a good cookie helps."""
    return admission.judge(init, address, under_way(HALF_OPEN_MAX - 1), now)


@pytest.mark.must("M16")
def test_a_cookie_is_good_at_its_address_for_its_handshake_only() -> None:
    admission = make_admission()
    init = with_cookie(admission)
    assert tries(admission, init, HERE, NOW) is Verdict.ADMIT
    assert tries(admission, init, (HERE[0], HERE[1] + 1), NOW) is Verdict.RETRY
    assert tries(admission, init, ("192.0.2.2", HERE[1]), NOW) is Verdict.RETRY
    other = admission.screen(make_init(2, init.cookie))
    assert tries(admission, other, HERE, NOW) is Verdict.RETRY


@pytest.mark.must("M16")
def test_a_cookie_survives_one_change_of_the_secret_and_not_two() -> None:
    admission = make_admission()
    slot_end = NOW - NOW % COOKIE_SECRET_LIFETIME + COOKIE_SECRET_LIFETIME
    init = with_cookie(admission, now=slot_end - 1)
    assert tries(admission, init, HERE, slot_end) is Verdict.ADMIT
    assert tries(admission, init, HERE, slot_end + COOKIE_SECRET_LIFETIME - 1) is Verdict.ADMIT
    assert tries(admission, init, HERE, slot_end + COOKIE_SECRET_LIFETIME) is Verdict.RETRY


def test_another_process_does_not_take_our_cookies() -> None:
    other = Admission(GENTLE, lambda size: b"o" * size)
    assert tries(make_admission(), with_cookie(other), HERE, NOW) is Verdict.RETRY


def test_answers_are_smaller_than_questions_and_show_that_their_sender_saw_the_question() -> None:
    admission, init = make_admission(), parse_init(make_init())
    retry, refusal = admission.retry(init, HERE, NOW), admission.refuse(init, RefusalReason.BUSY)
    assert parse_refuse(refusal) is RefusalReason.BUSY
    for answer in (retry, refusal):
        assert 20 * len(answer) < INIT_BYTES
        assert answer[-ANSWER_TAG_BYTES:] == mac(init.mac, answer[:-ANSWER_TAG_BYTES])


def test_only_an_init_of_another_version_is_told_so() -> None:
    datagram = make_init()
    foreign = datagram[:2] + bytes((9 << 4 | 1,)) + datagram[3:]
    answer = make_admission().refuse_version(foreign)
    assert answer is not None
    assert parse_refuse(answer) is RefusalReason.VERSION_MISMATCH
    assert make_admission().refuse_version(foreign[:100]) is None
