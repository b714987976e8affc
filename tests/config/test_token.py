from __future__ import annotations

from pathlib import Path

import pytest

from node.config import NetworkConfig, read_token
from node.errors import ConfigError, StartError


def test_the_token_is_the_setting_or_what_the_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  s3cret\n")
    assert read_token(NetworkConfig()) == ""
    assert read_token(NetworkConfig(api_token="s3cret")) == "s3cret"
    assert read_token(NetworkConfig(api_token_file=str(file))) == "s3cret"


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"\xff", b"x" * 513, b"x" * 10_000])
def test_a_file_that_holds_no_token_is_an_error_that_does_not_show_it(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(StartError, match="visible ASCII") as caught:
        read_token(NetworkConfig(api_token_file=str(file)))
    assert "two words" not in str(caught.value)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="cannot be read: No such file"):
        read_token(NetworkConfig(api_token_file=str(tmp_path / "none")))


def test_no_listing_and_no_message_shows_a_token() -> None:
    assert "s3cret" not in repr(NetworkConfig(api_token="s3cret"))
    with pytest.raises(ConfigError) as caught:
        NetworkConfig(api_token="s3 cret")
    assert "s3" not in str(caught.value)
    with pytest.raises(ConfigError, match="one of it and api_token"):
        NetworkConfig(api_token="s3cret", api_token_file="/run/token")
