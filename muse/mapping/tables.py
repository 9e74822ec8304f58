"""Tables of numbers per attribute as CSV.

Contents: :func:`write_table`, :func:`read_table`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from muse.files import write_text
from muse.mapping.levels import Floats


def write_table(path: Path, names: Sequence[str], columns: Mapping[str, Floats]) -> None:
    """Write a row per attribute: its name, and its number of each column to six digits.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["attribute", *columns])
    for i, name in enumerate(names):
        writer.writerow([name, *(f"{column[i]:.6g}" for column in columns.values())])
    write_text(path, text.getvalue())


def read_table(path: Path) -> tuple[list[str], dict[str, Floats]]:
    """Names of the rows, and the columns by name, float [n_rows] each.

    Raises
    ------
    OSError, ValueError, IndexError
        No such file, or no table of finite numbers.
    """
    with path.open(newline="", encoding="utf-8") as file:
        try:
            rows = list(csv.reader(file))
        except csv.Error as error:
            raise ValueError(f"{path.name} is no table: {error}") from None
    cells: list[list[float]] = []
    for number, row in enumerate(rows[1:], 2):
        try:
            cells.append([float(cell) for cell in row[1:]])
        except ValueError:
            raise ValueError(f"{path.name}, line {number}: a cell is no number") from None
    numbers = np.array(cells)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{path.name} has numbers that are not finite")
    return [row[0] for row in rows[1:]], {name: numbers[:, i] for i, name in enumerate(rows[0][1:])}
