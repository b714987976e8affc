"""One reduction per round of losses, taken back only when every one of them has arrived."""

from __future__ import annotations

import pytest

from node.transport.congestion.episode import RecoveryEpisode
from node.transport.packet import SentPacket
from node.wire.limits import LOST_PACKETS_MAX


def sent(number: int, at: int) -> SentPacket:
    return SentPacket(number, at, 1_000, is_ack_eliciting=True)


@pytest.fixture
def episode() -> RecoveryEpisode[str]:
    return RecoveryEpisode()


def test_losses_among_packets_sent_before_it_began_belong_to_it(episode: RecoveryEpisode[str]) -> None:
    assert episode.on_lost([sent(1, 10)], 50, "before")
    assert not episode.on_lost([sent(2, 50)], 60, "during")
    assert episode.on_lost([sent(3, 51)], 70, "after")


@pytest.mark.must("M53")
def test_it_is_taken_back_when_all_of_them_have_arrived(episode: RecoveryEpisode[str]) -> None:
    episode.on_lost([sent(1, 10), sent(2, 11)], 50, "before")
    episode.on_lost([sent(3, 12)], 55, "during")
    assert episode.on_spurious([sent(1, 10), sent(3, 12)]) is None
    assert episode.on_spurious([sent(2, 11)]) == "before"


def test_a_loss_that_is_real_lets_it_stand(episode: RecoveryEpisode[str]) -> None:
    episode.on_lost([sent(1, 10), sent(2, 11)], 50, "before")
    assert episode.on_spurious([sent(1, 10)]) is None
    assert episode.on_spurious([sent(9, 11)]) is None


def test_packets_sent_before_a_period_that_was_taken_back_may_begin_another(episode: RecoveryEpisode[str]) -> None:
    episode.on_lost([sent(1, 10)], 50, "before")
    episode.on_spurious([sent(1, 10)])
    assert episode.on_lost([sent(2, 11)], 60, "again")


def test_losses_of_an_earlier_period_take_back_nothing(episode: RecoveryEpisode[str]) -> None:
    episode.on_lost([sent(1, 10)], 50, "first")
    episode.on_lost([sent(2, 60)], 70, "second")
    assert episode.on_spurious([sent(1, 10)]) is None
    assert episode.on_spurious([sent(2, 60)]) == "second"


def test_a_mark_is_certain(episode: RecoveryEpisode[str]) -> None:
    episode.on_lost([sent(1, 10)], 50, "before")
    assert not episode.on_marked(40, 60)
    assert episode.on_spurious([sent(1, 10)]) is None
    assert episode.on_marked(61, 70)
    assert not episode.on_lost([sent(2, 70)], 80, "during")


def test_a_timeout_that_was_none_leads_back_to_before_the_losses_that_preceded_it(
    episode: RecoveryEpisode[str],
) -> None:
    episode.on_lost([sent(1, 10)], 50, "before")
    episode.on_timeout([sent(2, 20), sent(3, 30)], 90, "reduced")
    assert episode.on_spurious([sent(2, 20), sent(3, 30)]) is None
    assert episode.on_spurious([sent(1, 10)]) == "before"


def test_the_packets_it_waits_for_are_bounded(episode: RecoveryEpisode[str]) -> None:
    many = [sent(number, 10) for number in range(LOST_PACKETS_MAX + 1)]
    episode.on_lost(many, 50, "before")
    assert episode.on_spurious(many) is None
