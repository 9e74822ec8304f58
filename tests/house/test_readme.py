"""What the README and the guides tell people to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from muse.cli import app, main
from muse.score import bar_grid, read_score

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/getting-started.md", "docs/training.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.M | re.S)


def commands(page: str) -> list[list[str]]:
    """Commands of all shell blocks as words, comments left out."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def test_the_readme_opens_with_its_two_commands() -> None:
    assert commands("README.md")[:2] == [["make", "compose"], ["make", "test"]]


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_exists(page: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("no make here")
    targets = {words[1] for words in commands(page) if words[0] == "make"}
    for target in targets:
        dry = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert dry.returncode == 0, dry.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_muse_command_parses(page: str) -> None:
    found = [words[1:] for words in commands(page) if words[0] == "muse"]
    assert found
    for words in found:
        until = next((i for i, word in enumerate(words) if word == ">"), len(words))
        command, path, rest = typer.main.get_command(app), "muse", words[:until]
        while hasattr(command, "commands"):
            command, path, rest = command.commands[rest[0]], f"{path} {rest[0]}", rest[1:]
        command.make_context(path, rest)  # raises on anything unknown or missing


@pytest.mark.slow
def test_the_readme_python_runs(tmp_path: Path) -> None:
    code = "\n".join(blocks("README.md", "python"))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr
    assert bar_grid(read_score(tmp_path / "sad.mid")).n_bars == 8
    assert "Note Density" in result.stdout


@pytest.mark.slow
def test_the_guide_python_runs(tmp_path: Path) -> None:
    code = "\n".join(blocks("docs/getting-started.md", "python"))
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_the_readme_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written = []
    for words in commands("README.md"):
        if words[0] == "muse":
            with pytest.raises(SystemExit) as ended:
                main(words[1:])
            assert not ended.value.code, f"{shlex.join(words)}: {capsys.readouterr().err}"
            written += [words[words.index("-o") + 1]] if "-o" in words else []
    assert written
    for name in written:
        assert len(read_score(tmp_path / name).tracks)
