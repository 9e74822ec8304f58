"""Data sets of sound: a damaged table is one line that names file and row."""

from __future__ import annotations

from pathlib import Path

import pytest

from muse.corpora import listener_curves, open_dataset
from muse.emotion import GEMS
from muse.errors import InputError


def emotify(folder: Path, row: str) -> Path:
    folder.mkdir()
    (folder / "metadata.csv").write_text(f"track_id,file,artist,album,{','.join(GEMS)}\n{row}\n", encoding="utf-8")
    return folder


def test_emotify_gives_shares_of_listeners(tmp_path: Path) -> None:
    dataset = open_dataset(emotify(tmp_path / "emotify-1", f"7,clips/7.ogg,,An album{',0.5' * 9}"))
    (clip,) = dataset.clips
    assert (clip.path, clip.group, dataset.tag_set) == (tmp_path / "emotify-1/clips/7.ogg", "An album", "gems")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"7,/etc/passwd,a,b{',0.5' * 9}", "line 2: file '/etc/passwd' must be a path inside"),
        (f"7,../7.ogg,a,b{',0.5' * 9}", "line 2: file '../7.ogg' must be"),
        ("7,7.ogg,a,b,0.5", "line 2: solemnity '' is no number"),
        (f"7,7.ogg,a,b,many{',0.5' * 8}", "line 2: amazement 'many' is no number"),
        (f"7,7.ogg,{'x' * 140_000},b{',0.5' * 9}", "line 2: this is no row of a table"),
    ],
)
def test_rows_of_emotify_that_cannot_be_used(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"metadata\.csv, {message}"):
        open_dataset(emotify(tmp_path / "emotify", row))


@pytest.mark.parametrize(
    ("line", "message"),
    [("t1\ta1\tal", "line 2: 't1.*is no track"), ("t1\ta1\tal\t../../x.mp3\t9\tmood/theme---sad", "is no track")],
)
def test_rows_of_mtg_jamendo_that_cannot_be_used(tmp_path: Path, line: str, message: str) -> None:
    splits = tmp_path / "mtg-jamendo" / "data" / "splits" / "split-0"
    splits.mkdir(parents=True)
    (splits / "autotagging_moodtheme-train.tsv").write_text(f"TRACK_ID\tARTIST\n{line}\n")
    with pytest.raises(InputError, match=message):
        open_dataset(tmp_path / "mtg-jamendo")


def test_a_split_that_lacks_its_columns_names_them(tmp_path: Path) -> None:
    folder = emotify(tmp_path / "emotify", f"7,7.ogg,a,b{',0.5' * 9}")
    (folder / "split.csv").write_text("song,split\n7,test\n")
    with pytest.raises(
        InputError, match=r"split\.csv, line 2: there is no column 'song_id'; the table has song, split"
    ):
        open_dataset(folder)


def test_ratings_of_listeners_that_are_no_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "deam" / "annotations" / "annotations per each rater" / "dynamic (per second annotations)"
    for axis in ("valence", "arousal"):
        (folder / axis).mkdir(parents=True)
        (folder / axis / "2.csv").write_text("WorkerId,sample_500ms,sample_1000ms\nw,0.1,high\n")
    with pytest.raises(InputError, match=r"2\.csv, line 2: sample_1000ms 'high' is no number"):
        listener_curves(tmp_path / "deam")
