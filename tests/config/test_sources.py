from __future__ import annotations

from pathlib import Path

import pytest

from node.config.sources import load, nearest
from node.errors import ConfigError


def problems_of(**sources: object) -> tuple[str, ...]:
    sources.setdefault("environment", {})
    with pytest.raises(ConfigError) as caught:
        load(**sources)  # type: ignore[arg-type]  # passed on by name
    return caught.value.problems


def test_a_later_source_overrides_an_earlier_one(tmp_path: Path) -> None:
    file = tmp_path / "positron.toml"
    file.write_text("port = 1001\nmtu = 1300\nname = 'file'\n")

    loaded = load(path=str(file), environment={"POSITRON_PORT": "1002", "POSITRON_MTU": "1301"}, flags={"port": "1003"})

    assert (loaded.config.port, loaded.config.mtu, loaded.config.name) == (1003, 1301, "file")
    assert loaded.origins["port"] == "flag --port"
    assert loaded.origins["mtu"] == "environment POSITRON_MTU"
    assert loaded.origins["name"] == f"file {file}"
    assert loaded.origins["mss"] == "default"
    assert loaded.origins["tcp_port"] == "derived from port"


def test_the_environment_may_name_the_file_and_a_flag_overrides_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    first.write_text("port = 1001")
    second.write_text("port = 1002")
    environment = {"POSITRON_CONFIG": str(first)}

    assert load(environment=environment).config.port == 1001
    assert load(environment=environment, path=str(second)).config.port == 1002


def test_the_profile_is_an_origin() -> None:
    loaded = load(environment={"POSITRON_PROFILE": "testnet"})

    assert loaded.config.min_rto == 0.025
    assert loaded.origins["min_rto"] == "profile testnet"


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load(environment={"PATH": "/bin", "PORT": "x", "positron_port": "x"}).config.port == 8888


def test_every_mistake_of_every_source_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "positron.toml"
    file.write_text("prot = 1\nmtu = 1\n[zzzzzz]\n")

    problems = problems_of(
        path=str(file),
        environment={"POSITRON_PROT": "9000", "POSITRON_MAX_RETRIES": "many"},
        flags={"port": "99999"},
        unknown_flags=["--bootstrap-node"],
    )

    assert problems == (
        f"file {file}: key 'prot' is unknown; nearest is port",
        f"file {file}: mtu = 1: allowed is a whole number from 1200 to 65507",
        f"file {file}: key 'zzzzzz' is unknown",
        "environment POSITRON_MAX_RETRIES: max_retries = 'many': allowed is a whole number from 0 to 100",
        "environment: variable 'POSITRON_PROT' is unknown; nearest is POSITRON_PORT",
        "flag --port: port = '99999': allowed is a whole number from 0 to 65535",
        "flag '--bootstrap-node' is unknown; nearest is --bootstrap-nodes",
    )


def test_a_conflict_names_the_origins_of_both_values() -> None:
    (problem,) = problems_of(environment={"POSITRON_MIN_RTO": "5"}, flags={"max_rto": "2"})

    assert problem == (
        "min_rto = 5: allowed is at most max_rto = 2 (min_rto: environment POSITRON_MIN_RTO, max_rto: flag --max-rto)"
    )


def test_a_field_that_is_wrong_itself_is_not_blamed_a_second_time_for_a_conflict() -> None:
    (problem,) = problems_of(environment={"POSITRON_MIN_RTO": "500"}, flags={"max_rto": "-2"})

    assert problem.startswith("flag --max-rto: max_rto = '-2'")


def test_a_wrong_value_is_reported_although_a_later_source_overrides_it() -> None:
    (problem,) = problems_of(environment={"POSITRON_PORT": "x"}, flags={"port": "9000"})

    assert problem.startswith("environment POSITRON_PORT")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"port = ", "not TOML"),
        (b"port = " + b"9" * 5000, "not TOML"),
        (b"port = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (1 << 20) + b"##", "larger than"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)

    (problem,) = problems_of(path=str(file))

    assert words in problem
    assert "\n" not in problem


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    (problem,) = problems_of(path=str(tmp_path / "absent.toml"))

    assert "No such file" in problem


def test_text_in_a_file_where_a_number_belongs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "positron.toml"
    file.write_text("port = '9000'")

    (problem,) = problems_of(path=str(file))

    assert "port = '9000'" in problem


def test_an_unknown_name_without_a_neighbour_has_no_suggestion() -> None:
    assert nearest("zzzzzz", ["port", "mtu"]) == ""
