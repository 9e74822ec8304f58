"""The map of the house, held by a test: imports point down, and composing stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
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
            "files pages statistics emotion engines",
            "audio checkpoint",
            "score",
            "theory",
            "intent",
            "attributes hearing",
            "mapping",
            "tokens",
            "generator grammar render transcription",
            "sheets",
            "corpora",
            "dataset",
            "recognizer selector",
            "prompts",
            "composer",
            "training",
            "evaluate",
            "tasks",
            "serve",
            "cli",
        )
    )
    for room in rooms.split()
}
DOORS = {"__init__", "__main__"}
MAY_TRAIN = {"training", "evaluate", "tasks", "cli"}
"""Rooms that may import what trains."""
MAY_READ_CORPORA = {"corpora", "dataset", *MAY_TRAIN}
"""Rooms that may import readers of corpora."""
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


def imports() -> list[tuple[str, str, str]]:
    """Room, imported room and place of every import of Muse in a module that is no door: a door leads everywhere."""
    return [
        (room_of(path), other, f"{path.relative_to(PACKAGE)}:{line} imports {other}")
        for path in modules()
        if room_of(path) not in DOORS
        for other, line in sorted(imported_rooms(path))
        if other not in {room_of(path), "__version__", *DOORS}
    ]


def test_imports_point_down() -> None:
    assert not [place for room, other, place in imports() if FLOORS[other] >= FLOORS[room]]


def test_inference_imports_no_training_and_no_corpora() -> None:
    for room, other, place in imports():
        assert other != "training" or room in MAY_TRAIN, place
        assert other not in {"corpora", "dataset"} or room in MAY_READ_CORPORA, place


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


def too_long(path: Path) -> Iterator[str]:
    """What is too long in a module: itself, a function, a table that stands in it as code."""
    source, name = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE)
    if (n_lines := source.count("\n")) > MAX_LINES:
        yield f"{name}: {n_lines} lines"
    for node in ast.walk(ast.parse(source)):
        n_rows = 0
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if (n_lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES:
                yield f"{name}:{node.lineno} {node.name}: {n_lines} lines"
        elif isinstance(node, (ast.Tuple, ast.List, ast.Set)) and not isinstance(getattr(node, "ctx", None), ast.Store):
            n_rows = sum(isinstance(one, (ast.Tuple, ast.List, ast.Dict, ast.Call)) for one in node.elts)
        elif isinstance(node, ast.Dict):
            n_rows = len(node.keys)
        if n_rows > MAX_TABLE_ROWS:
            yield f"{name}:{node.lineno}: a table of {n_rows} rows as code"


def test_modules_functions_and_tables_are_short() -> None:
    assert not [place for path in modules() for place in too_long(path)]


def test_what_is_too_long_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    for name, source in {
        "module": "#\n" * 601,
        "function": "def long():\n" + "    pass\n" * 80,
        "table": f"x = [{'(1, 2), ' * 101}]\n",
        "dictionary": f"x = {{{', '.join(f'{i}: 0' for i in range(101))}}}\n",
        "short": "def short():\n" + "    pass\n" * 79 + f"x = [{'(1, 2), ' * 100}]\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(source)
    assert sorted(place for path in modules() for place in too_long(path)) == [
        "dictionary.py:1: a table of 101 rows as code",
        "function.py:1 long: 81 lines",
        "module.py: 601 lines",
        "table.py:1: a table of 101 rows as code",
    ]


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


def test_what_muse_knows_of_itself_is_said_at_once() -> None:
    loaded = loaded_after("from muse.cli import app\napp(['info'], standalone_mode=False)")
    assert "safetensors" in loaded
    assert not loaded & {"torch", "numpy", "symusic", "sklearn", "onnxruntime"}


def test_composing_stays_light() -> None:
    loaded = loaded_after(
        "import tempfile\nfrom muse.cli import app\nfolder = tempfile.mkdtemp()\n"
        "app(['compose', '--emotion', 'sad', '--bars', '8', '-o', folder + '/sad.mid'], standalone_mode=False)"
    )
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
