"""Runs notebooks from the first cell to the last: ``python notebooks/execute.py [--write] [NOTEBOOK ...]``.

All of this folder without names, two at a time. With ``--write`` texts and pictures are kept in the files, sound is not
(cells with the tag ``sound``: megabytes each); without, nothing is written. Exits with 1 where a cell fails, and says
which.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

FOLDER = Path(__file__).parent
CELL_SEC = 240
"""Longest time for one cell."""


def execute(path: Path) -> tuple[Any, float, str]:
    """The notebook with its outputs, seconds, and what went wrong."""
    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    fault = ""
    try:
        NotebookClient(notebook, timeout=CELL_SEC, resources={"metadata": {"path": str(path.parent)}}).execute()
    except (CellExecutionError, CellTimeoutError) as error:
        fault = str(error)
    return notebook, time.monotonic() - started, fault


def write(notebook: Any, path: Path) -> None:
    """Keep what is worth keeping, without times and versions, which differ at each run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code" and "sound" in cell.metadata.get("tags", ()):
            cell.outputs = []
    notebook.metadata.language_info = {"name": "python"}
    nbformat.write(notebook, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    parser.add_argument("--write", action="store_true", help="keep texts and pictures in the notebooks")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    paths = arguments.notebooks or sorted(FOLDER.glob("*.ipynb"))
    started, failed = time.monotonic(), False
    with ThreadPoolExecutor(2) as pool:
        for path, (notebook, seconds, fault) in zip(paths, pool.map(execute, paths), strict=True):
            print(f"{path.name:40} {seconds:6.1f} s {'FAILED' if fault else 'ok'}", flush=True)
            if fault:
                print(fault, file=sys.stderr)
                failed = True
            elif arguments.write:
                write(notebook, path)
    print(f"{'together':40} {time.monotonic() - started:6.1f} s")
    sys.exit(failed)


if __name__ == "__main__":
    main()
