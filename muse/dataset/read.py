"""Reading datasets: columns as numpy, shard by shard, without holding the whole.

Conventions
-----------
* A dataset is a folder with ``dataset.json``, ``rejects.csv`` and the Parquet shards that ``dataset.json`` names.
* A row is one window; :data:`COLUMNS` describes the columns.
* Lists of different lengths come as :class:`Ragged`: all values in one array, and where each row begins.
* Shards are read by memory map, a row group at a time; only the columns asked for are decoded.

Contents: :class:`Corpus`, :class:`Ragged`, :class:`Rows`, :func:`corpus_info`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from muse.errors import InputError
from muse.files import read_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "SCHEMA_VERSION", "Corpus", "Ragged", "Rows", "corpus_info", "read_rows", "write_shard"]

SCHEMA_VERSION = 2
"""Of columns and of what ids mean; datasets of another are refused."""

ROW_GROUP_ROWS = 512
"""Rows that are decoded at a time: about half a million tokens."""

COLUMNS: Mapping[str, tuple[str, str]] = {
    "corpus": ("string", "name of the corpus"),
    "song": ("string", "id of the song in its corpus"),
    "title": ("string", "title, empty when unknown"),
    "composer": ("string", "composer or artist, empty when unknown"),
    "source": ("string", "path of the file in its corpus"),
    "window": ("int32", "number of the window in its song, from 0"),
    "first_bar": ("int32", "first bar of the window, from 0"),
    "n_bars": ("int16", "length: a multiple of 4, at most 16 by default"),
    "at_start": ("bool", "the song begins with this window"),
    "at_end": ("bool", "the song ends with this window"),
    "on_grid": ("bool", "bars are real; rows without are spelt on stand-in bars of 2 s"),
    "grid": ("string", "where bars come from: annotated, own, tracked, none"),
    "grid_fit": ("float32", "how much better than chance notes lie on the grid, up to 1"),
    "split": ("string", "train, val or test"),
    "licence": ("string", "licence as the source states it"),
    "licence_class": ("string", "permissive, copyleft, nc or unclear"),
    "genre": ("string", "one of muse.tokens.GENRES"),
    "quadrant": ("string", "Q1..Q4 of the song, empty when unknown"),
    "valence": ("float32", "-1..1 of the song, NaN when unknown"),
    "arousal": ("float32", "-1..1 of the song, NaN when unknown"),
    "label_kind": ("string", "rating, word or quadrant (only the signs are known); empty without labels"),
    "window_valence": ("float32", "-1..1 of this window where people rated over time, else NaN"),
    "window_arousal": ("float32", "-1..1 of this window where people rated over time, else NaN"),
    "programs": ("list<uint8>", "General MIDI programs, ascending; 128 = drums"),
    "time_signature": ("string", "for example 3/4; empty off the grid"),
    "tempo_bpm": ("float32", "quarter notes a minute, time-weighted mean; NaN off the grid"),
    "tonic": ("int8", "0..11, estimated; -1 without pitched notes"),
    "mode": ("string", "major or minor, estimated; empty without pitched notes"),
    "key_clarity": ("float32", "correlation with the key's profile, -1..1"),
    "labelled_tonic": ("int8", "0..11 of the song where annotated, else -1"),
    "labelled_mode": ("string", "major or minor of the song where annotated, else empty"),
    "labelled_chords": (
        "list<string>",
        "symbol of each quarter note (C#:min7, N for none) where annotated, else empty",
    ),
    "note_count": ("int32", "notes in the window"),
    "start_sec": ("float32", "start of the window in the file"),
    "duration_sec": ("float32", "length of the window"),
    "tokens": ("list<uint16>", "ids of muse.tokens.Codec"),
    "attributes": ("list<float32>", "in the order of attribute_names in dataset.json; NaN where undefined"),
    "section_attributes": ("list<float32>", "[n_bars / 4, section_attribute_names], row by row"),
}
"""Type and meaning of every column."""


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths. ``ragged[i]`` is a view."""

    values: NDArray[Any]
    """[n_values], all rows one after another."""
    offsets: NDArray[np.int64]
    """int64 [n_rows + 1]: row *i* is ``values[offsets[i]:offsets[i + 1]]``."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        row %= len(self)
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[row] for row in range(len(self)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n_rows]."""
        return np.diff(self.offsets)


Column: TypeAlias = "NDArray[Any] | Ragged"


class Corpus:
    """A dataset that ``muse corpus build`` made.

    Parameters
    ----------
    folder
        Where ``dataset.json`` is.

    Raises
    ------
    InputError
        There is no dataset, it is not finished, or it is of another version.

    Examples
    --------
    >>> corpus = Corpus("dataset")                                                         # doctest: +SKIP
    >>> for rows in corpus.batches(["tokens", "attributes"], split="train", on_grid=True): # doctest: +SKIP
    ...     rows["tokens"][0], rows["attributes"].shape
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.info = corpus_info(self.folder)

    def __len__(self) -> int:
        return int(self.info["n_windows"])

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the columns of ``attributes``."""
        return tuple(self.info["attribute_names"])

    @property
    def section_attribute_names(self) -> tuple[str, ...]:
        """Names of the columns of ``section_attributes``."""
        return tuple(self.info["section_attribute_names"])

    @cached_property
    def shards(self) -> tuple[Path, ...]:
        """Parquet files, in order."""
        return tuple(self.folder / name for name in self.info["shards"])

    def batches(self, columns: Sequence[str] | None = None, **equals: Any) -> Iterator[dict[str, Column]]:
        """Columns of the dataset, one row group after another, in the order of the build.

        Parameters
        ----------
        columns
            Names; default all.
        equals
            Rows to take, by column: ``split="train"``, ``on_grid=True``, ``corpus=["pop909", "groove"]``.

        Yields
        ------
        dict
            Arrays of the same number of rows (at least one): strings as object arrays, ``attributes`` as float32
            [n_rows, n_attributes], other lists as :class:`Ragged`.
        """
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        names = list(COLUMNS) if columns is None else list(columns)
        unknown = sorted({*names, *equals} - set(COLUMNS))
        if unknown:
            raise InputError(f"no such column: {', '.join(unknown)}; legal are {', '.join(COLUMNS)}")
        for path in self.shards:
            with pq.ParquetFile(path, memory_map=True) as shard:
                for group in range(shard.num_row_groups):
                    table = shard.read_row_group(group, columns=[*dict.fromkeys([*names, *equals])], use_threads=False)
                    for name, wanted in equals.items():
                        values = list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
                        table = table.filter(pc.field(name).isin(values))
                    if table.num_rows:
                        yield {name: _column(table[name], name == "attributes") for name in names}

    def column(self, name: str, **equals: Any) -> Column:
        """One whole column, for those that fit in memory; see :meth:`batches`."""
        found = [batch[name] for batch in self.batches([name], **equals)]
        if not found:
            empty: NDArray[Any] = np.zeros(0, np.float32)
            return Ragged(empty, np.zeros(1, np.int64)) if COLUMNS[name][0].startswith("list") else empty
        if isinstance(found[0], Ragged):
            ragged = [part for part in found if isinstance(part, Ragged)]
            lengths = np.concatenate([part.lengths for part in ragged])
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            return Ragged(np.concatenate([part.values for part in ragged]), offsets)
        return np.concatenate([part for part in found if isinstance(part, np.ndarray)])

    def rejects(self) -> list[dict[str, str]]:
        """What was left out and why: corpus, source, stage, reason, windows."""
        import csv

        with (self.folder / "rejects.csv").open(encoding="utf-8", newline="") as stream:
            return list(csv.DictReader(stream))


def corpus_info(folder: Path | str) -> dict[str, Any]:
    """What ``dataset.json`` says: settings, counts by corpus, licence, split and so on, reasons of rejects.

    Raises
    ------
    InputError
        There is no dataset, it is not finished, or it is of another version.
    """
    folder = Path(folder)
    path = folder / "dataset.json"
    if not path.is_file():
        state = "its build is not finished; start it again" if (folder / "parts").is_dir() else "no dataset.json in it"
        raise InputError(f"{folder} is no dataset: {state}")
    info = read_json(path)
    if not isinstance(info, dict) or "schema" not in info:
        raise InputError(f"{path} describes no dataset of `muse corpus build`")
    if info.get("format") != "muse corpus" or info.get("schema") != SCHEMA_VERSION:
        found = info.get("schema")
        raise InputError(f"{path} has schema {found!r}, this version reads {SCHEMA_VERSION}; build it again")
    return dict(info)


# ------------------------------------------------------------------------------------------------------ for the builder


class Rows:
    """A shard in memory: what the builder filters and writes again."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, name: str) -> list[Any]:
        return list(self._table[name].to_pylist())

    def __setitem__(self, name: str, values: Sequence[Any]) -> None:
        import pyarrow as pa

        place = self._table.schema.get_field_index(name)
        kind = self._table.schema.field(name)
        self._table = self._table.set_column(place, kind, pa.array(values, kind.type))

    def lengths(self, name: str) -> NDArray[np.int64]:
        """Lengths of a list column, int64 [n_rows]."""
        import pyarrow.compute as pc

        return np.asarray(pc.list_value_length(self._table[name]), dtype=np.int64)

    def select(self, keep: Sequence[bool]) -> Rows:
        """The rows for which *keep* is true."""
        import pyarrow as pa

        return Rows(self._table.filter(pa.array(keep, pa.bool_())))

    def write(self, path: Path) -> None:
        """Write as a shard."""
        import pyarrow.parquet as pq

        strings = [name for name, (kind, _) in COLUMNS.items() if kind == "string"]
        pq.write_table(
            self._table, path, row_group_size=ROW_GROUP_ROWS, compression="zstd", use_dictionary=strings,
            store_schema=True,
        )  # fmt: skip


def write_shard(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write rows that have all columns of :data:`COLUMNS`."""
    import pyarrow as pa

    schema = _schema()
    arrays = [pa.array([row[entry.name] for row in rows], entry.type) for entry in schema]
    Rows(pa.Table.from_arrays(arrays, schema=schema)).write(path)


def read_rows(path: Path) -> Rows:
    """Read a whole shard."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as shard:
        return Rows(shard.read(use_threads=False))


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {
        "string": pa.string(), "bool": pa.bool_(), "int8": pa.int8(), "int16": pa.int16(), "int32": pa.int32(),
        "float32": pa.float32(), "list<uint8>": pa.list_(pa.uint8()), "list<uint16>": pa.list_(pa.uint16()),
        "list<float32>": pa.list_(pa.float32()), "list<string>": pa.list_(pa.string()),
    }  # fmt: skip
    return pa.schema([pa.field(name, kinds[kind]) for name, (kind, _) in COLUMNS.items()])


def _column(chunked: pa.ChunkedArray, equal_lengths: bool) -> Column:
    """An Arrow column as numpy; numbers are not copied where Arrow allows it."""
    import pyarrow as pa

    array = chunked.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # of no chunk at all
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if not pa.types.is_list(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    offsets = np.asarray(array.offsets).astype(np.int64)
    values = array.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    if equal_lengths:
        return values.reshape(len(offsets) - 1, -1)
    return Ragged(values, offsets)
