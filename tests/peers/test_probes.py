"""Open questions."""

from __future__ import annotations

from node.peers.probes import Probe, Probes
from node.types import NodeId
from node.wire.limits import PROBES_MAX

ANN, BEN, CAT = (NodeId(letter.encode() * 32) for letter in "abc")


def test_only_who_was_asked_can_answer_and_once() -> None:
    probes = Probes()
    number = probes.ask(Probe(ANN))
    assert probes.answered(number, BEN, is_final=True) is None
    assert probes.answered(number, ANN, is_final=True) == Probe(ANN)
    assert probes.answered(number, ANN, is_final=True) is None


def test_a_relay_answers_for_another_and_may_first_say_that_it_heard() -> None:
    probes = Probes()
    probe = Probe(ANN, relay=BEN)
    number = probes.ask(probe)
    assert probes.answered(number, ANN, is_final=True) is None
    assert probes.answered(number, BEN, is_final=False) == probe
    assert probes.answered(number, BEN, is_final=True) == probe


def test_forgetting_a_node_leaves_the_questions_of_others() -> None:
    probes = Probes()
    own = [probes.ask(Probe(ANN)), probes.ask(Probe(ANN, relay=BEN))]
    number = probes.ask(Probe(ANN, asker=CAT, asker_number=7))
    probes.forget(ANN)
    assert [probes.answered(one, by, is_final=True) for one, by in zip(own, (ANN, BEN), strict=True)] == [None, None]
    assert probes.answered(number, ANN, is_final=True) is not None


def test_open_questions_are_bounded() -> None:
    probes = Probes()
    for _ in range(PROBES_MAX + 5):
        probes.ask(Probe(ANN))
    assert len(probes) == PROBES_MAX
