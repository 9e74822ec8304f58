"""The map of the house, held by a test: imports point down, and composing stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import muse

PACKAGE = Path(muse.__file__).parent

# Rooms import from lower floors only; rooms on one floor do not know each other. The package itself and `__main__` are
# doors, not rooms.
FLOORS: dict[str, int] = {
    room: floor
    for floor, rooms in enumerate(
        (
            "errors",
            "files statistics emotion",
            "audio checkpoint",
            "score",
            "theory",
            "intent",
            "attributes",
            "mapping",
            "tokens",
            "generator grammar render transcription",
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
MAY_TRAIN = {"training", "evaluate", "tasks", "cli"}
"""Rooms that may import what trains."""
MAY_READ_CORPORA = {"corpora", "dataset", "recognizer", *MAY_TRAIN}
"""Rooms that may import readers of corpora; of the recogniser, only the names of tags."""
MAX_LINES = 600
MAX_FUNCTION_LINES = 80
MAX_TABLE_ROWS = 100


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


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_inference_imports_no_training_and_no_corpora(path: Path) -> None:
    room = room_of(path)
    found = {other for other, _ in imported_rooms(path)}
    if room not in MAY_TRAIN | DOORS:
        assert "training" not in found
    if room not in MAY_READ_CORPORA | DOORS:
        assert not found & {"corpora", "dataset"}


def imported_modules(path: Path, known: set[str]) -> set[str]:
    """Modules of Muse that a module imports, wherever the import stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & known


def test_no_modules_import_each_other() -> None:
    """Not even late or for types alone; a package and its own modules aside, for it names what they make."""

    def name(path: Path) -> str:
        return ".".join(("muse", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")

    packages = {name(path) for path in modules() if path.stem == "__init__"}
    known = {name(path) for path in modules()}
    graph = {
        name(path): {
            other
            for other in imported_modules(path, known)
            if other not in packages or not name(path).startswith(other)
        }
        for path in modules()
        if name(path) != "muse"
    }
    order: dict[str, int] = {}

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join((*above[above.index(module) :], module))
        if module not in order:
            for other in sorted(graph.get(module, ())):
                if other != module:
                    visit(other, (*above, module))
            order[module] = len(order)

    for module in sorted(graph):
        if module not in packages:
            visit(module, ())


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_modules_functions_and_tables_are_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, f"{path.name}:{node.lineno} {node.name}"
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)) and not isinstance(getattr(node, "ctx", None), ast.Store):
            rows = [one for one in node.elts if isinstance(one, (ast.Tuple, ast.List, ast.Dict, ast.Call))]
            assert len(rows) <= MAX_TABLE_ROWS, f"{path.name}:{node.lineno}: a table of {len(rows)} rows as code"
        if isinstance(node, ast.Dict):
            assert len(node.keys) <= MAX_TABLE_ROWS, (
                f"{path.name}:{node.lineno}: a table of {len(node.keys)} rows as code"
            )


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
    assert {"onnxruntime", "symusic"} <= loaded
    assert not loaded & {
        "torch", "miditok", "lightning", "gradio", "music21", "pyarrow", "transformers", "matplotlib", "tensorboard",
    }  # fmt: skip


def test_public_names_resolve() -> None:
    for name in muse.__all__:
        assert getattr(muse, name) is not None
    assert set(muse.__all__) <= set(dir(muse))
    with pytest.raises(AttributeError, match="has no attribute 'Compozer'"):
        muse.Compozer  # noqa: B018
