from __future__ import annotations

from pathlib import Path

import pytest

from node.cli.client import Client
from node.cli.main import main


@pytest.mark.parametrize("way", ["flag", "file variable", "variable", "configuration"])
def test_the_token_is_found_however_it_is_given(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def get(client: Client, path: str, *, seconds: float = 0.0) -> dict[str, object]:
        asked.append((client.url, client._headers))
        return {}

    monkeypatch.setattr(Client, "get", get)
    monkeypatch.setenv("POSITRON_URL", "http://node-3:9464")
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    words = []
    match way:
        case "flag":
            words = ["--api-token-file", str(file)]
        case "file variable":
            monkeypatch.setenv("POSITRON_API_TOKEN_FILE", str(file))
        case "variable":
            monkeypatch.setenv("POSITRON_API_TOKEN", "s3cret")
        case _:
            configuration = tmp_path / "node.toml"
            configuration.write_text(f'api_token_file = "{file}"')
            words = ["--config", str(configuration)]

    assert main(["peers", *words]) == 0

    assert asked == [("http://node-3:9464", {"Authorization": "Bearer s3cret"})]


def test_a_token_that_cannot_be_read_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", "--api-token-file", "/nowhere/token"]) == 1
    assert capsys.readouterr().err == (
        "positron: api_token_file /nowhere/token cannot be read: No such file or directory\n"
    )
