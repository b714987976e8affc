"""The table of faults is complete in itself."""

from __future__ import annotations

from node.testnet.scenario.faults import KINDS, Scope


def test_every_short_form_names_a_parameter_and_every_fault_explains_itself() -> None:
    for name, kind in KINDS.items():
        assert kind.help, name
        assert not kind.shorthand or kind.shorthand in kind.parameters, name
        assert all(parameter.help for parameter in kind.parameters.values()), name


def test_faults_of_links_add_up_and_those_of_a_process_do_not() -> None:
    assert all(not kind.exclusive for kind in KINDS.values() if kind.scope is Scope.LINKS)
    assert {name for name, kind in KINDS.items() if kind.exclusive == "process"} >= {"kill", "pause", "stop", "restart"}
