"""``muse serve``: what cannot be served is said in one line, and what is served ends cleanly."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import muse.cli as cli


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "70000"], "--port is 70000; legal are 1..65535"),
        (["--workers", "0"], "--workers is 0; legal are 1..10000"),
        (["--waiting", "-1"], "--waiting is -1; legal are 0..10000"),
        (["--host", "no.such.host.invalid"], "cannot be listened at"),
        (["--api-key-file", "nowhere"], "nowhere: No such file"),
    ],
)
def test_what_cannot_be_served_is_said(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["serve", "--port", str(free_port()), *arguments])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and out == "" and told in err and err.count("\n") == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_it_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "muse", "serve", "--port", str(port), "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as server:
        until = time.monotonic() + 120
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as answer:
                    assert json.load(answer)["workers"] == 1
                break
            except URLError:
                assert time.monotonic() < until and server.poll() is None
                time.sleep(0.1)
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=60)
    assert "Traceback" not in log
    assert server.returncode in (0, -signal.SIGTERM)
