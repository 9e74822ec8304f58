"""The map of the house, held by a test: imports point down, and composing stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import muse

PACKAGE = Path(muse.__file__).parent

# Rooms import from lower floors only; rooms on one floor do not know each other. `errors` lies under everything; the
# package itself and `__main__` are doors, not rooms.
FLOORS: dict[str, int] = {
    room: floor
    for floor, rooms in enumerate(
        (
            "errors",
            "audio checkpoint emotion",
            "score",
            "theory",
            "intent",
            "attributes",
            "mapping",
            "tokens",
            "generator grammar render",
            "corpora",
            "dataset",
            "recognizer selector",
            "prompts",
            "composer",
            "training",
            "evaluate",
            "tasks",
            "cli",
        )
    )
    for room in rooms.split()
}
DOORS = {"__init__", "__main__"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(path: Path) -> set[tuple[str, int]]:
    """Rooms of Muse that a module imports, at load time or inside functions, with the line."""
    package = ("muse", *path.relative_to(PACKAGE).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "muse" else [base]
        for name in names:
            parts = name.split(".")
            if parts[0] == "muse" and len(parts) > 1:
                found.add((muse._HOMES.get(parts[1], parts[1]), node.lineno))
    return found


def test_every_room_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} - DOORS <= set(FLOORS)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room in DOORS:
        pytest.skip("a door leads everywhere")
    wrong = [
        f"{path.name}:{line} imports {other}"
        for other, line in sorted(imported_rooms(path))
        if other != room and other not in DOORS and other != "__version__" and FLOORS[other] >= FLOORS[room]
    ]
    assert not wrong, f"{room} is on floor {FLOORS[room]}: " + "; ".join(wrong)


def test_the_layers_test_sees_imports_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / "tokens").mkdir()
    module = tmp_path / "tokens" / "codec.py"
    module.write_text(
        "import muse.score\nfrom muse import Composer, dataset\nfrom muse.generator.sampler import Sampler\n"
        "from .. import theory\nfrom ..intent import Intent\nfrom .music import Codec\n"
        "def late():\n    from muse.cli import main\n"
    )
    assert {room for room, _ in imported_rooms(module)} == {
        "score", "composer", "dataset", "generator", "theory", "intent", "tokens", "cli",
    }  # fmt: skip


def loaded_after(code: str) -> set[str]:
    """Top-level packages in memory after running code in a fresh interpreter."""
    script = f"import sys\n{code}\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.splitlines()[-1].split())


def test_import_muse_is_instant() -> None:
    loaded = loaded_after("import muse, muse.cli")
    assert "muse" in loaded
    assert not loaded & {"torch", "numpy", "symusic", "sklearn", "transformers", "matplotlib", "rich"}


def test_composing_stays_light() -> None:
    loaded = loaded_after("import muse\nmuse.compose(emotion='Q1', bars=4, n_candidates=1, seed=0)")
    assert {"torch", "symusic"} <= loaded
    assert not loaded & {"lightning", "gradio", "music21", "pyarrow", "transformers", "matplotlib", "tensorboard"}


def test_public_names_resolve() -> None:
    for name in muse.__all__:
        assert getattr(muse, name) is not None
    assert set(muse.__all__) <= set(dir(muse))
    with pytest.raises(AttributeError, match="has no attribute 'Compozer'"):
        muse.Compozer  # noqa: B018
