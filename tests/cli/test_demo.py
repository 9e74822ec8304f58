"""``muse demo`` before anything is served: what it refuses, and what it says."""

from __future__ import annotations

import socket
import sys

import pytest

from muse.cli import main


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--no-browser", *arguments])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told


@pytest.mark.parametrize("auth", ["anna", "anna:", ":secret"])
def test_auth_needs_both_halves(auth: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--auth needs a name and a password" in complaint(["--auth", auth], capsys)


def test_a_port_that_is_none_or_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert "legal are 1..65535" in complaint(["--port", "70000"], capsys)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"127.0.0.1:{port} cannot be listened at" in complaint(["--port", str(port)], capsys)


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "pip install 'muse-music[demo]'" in complaint(["--port", str(port)], capsys)
