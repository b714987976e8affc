from __future__ import annotations

import os
import select
import signal

import pytest

from node.cli.ending import SIGNALS, Ending

pytestmark = pytest.mark.usefixtures("handlers")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_wakes_whoever_waits(number: signal.Signals) -> None:
    with Ending() as ending:
        assert not ending.is_wished
        assert select.select([ending], [], [], 0)[0] == []

        os.kill(os.getpid(), number)

        assert select.select([ending], [], [], 5)[0] == [ending]
        assert ending.is_wished


def test_the_wish_may_be_repeated_while_the_process_ends() -> None:
    with Ending() as ending:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert ending.is_wished

    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)


def test_without_a_signal_everything_is_as_it_was() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    with Ending():
        assert [signal.getsignal(number) for number in SIGNALS] != before

    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_hangup_that_nohup_has_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with Ending() as ending:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not ending.is_wished


def test_a_signal_is_heard_although_an_event_loop_put_its_own_descriptor_in_place() -> None:
    with Ending() as ending:
        signal.set_wakeup_fd(-1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert select.select([ending], [], [], 5)[0]
