"""Label conventions: what is read from names, tables and annotations of each data set."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from muse.corpora import (
    emopia_clips,
    find_songs,
    genre_of,
    read_beats,
    read_chords,
    read_curve,
    read_key,
    recording_of,
    vgmidi_pieces,
    work_name,
)
from muse.errors import InputError
from muse.tokens.vocabulary import GENRES


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"MThd")
    return root


def write_table(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_emopia_names_tell_quadrant_and_song(tmp_path: Path) -> None:
    touch(tmp_path / "EMOPIA", "Q1_0vLPYiPN7qY_0.mid", "Q3_a_b_c_2.mid", "Q3_a_b_c_11.mid")
    songs = {song.song_id: song for song in find_songs([tmp_path / "EMOPIA"])}
    assert songs["Q1_0vLPYiPN7qY_0"].group == "0vLPYiPN7qY"
    assert songs["Q1_0vLPYiPN7qY_0"].quadrant == "Q1"
    sad = songs["Q3_a_b_c_2"]
    assert (sad.valence, sad.arousal, sad.label_kind) == (-1.0, -1.0, "quadrant")
    assert sad.group == songs["Q3_a_b_c_11"].group == "a_b_c"
    assert sad.licence_class == "nc"


def test_xmidi_names_tell_emotion_and_genre(tmp_path: Path) -> None:
    words = ("exciting", "warm", "happy", "romantic", "funny", "sad", "angry", "lazy", "quiet", "fear", "magnificent")
    touch(tmp_path / "XMIDI", *(f"XMIDI_{word}_classical_{i:08d}.midi" for i, word in enumerate(words)))
    songs = find_songs([tmp_path / "XMIDI"])
    assert len(songs) == len(words)
    assert {song.label_kind for song in songs} == {"word"}
    assert {song.genre for song in songs} == {"classical"}
    by_word = {song.song_id.split("_")[1]: song for song in songs}
    assert by_word["angry"].quadrant == "Q2"
    assert by_word["sad"].valence < 0 < by_word["happy"].valence


def test_pop909_brings_beats_chords_and_key(tmp_path: Path) -> None:
    root = touch(tmp_path / "POP909", "001/001.mid", "001/versions/001-v1.mid", "002/002.mid")
    (root / "001/beat_midi.txt").write_text("0.1 1.0 1.0\n0.6 0.0 0.0\n1.1 1.0 0.0\n1.6 0.0 0.0\n2.1 1.0 1.0\n")
    (root / "001/chord_midi.txt").write_text("0.0\t1.0\tN\n1.0\t2.0\tC#:min7\n")
    (root / "001/key_audio.txt").write_text("2.67\t191.98\tGb:maj\n")
    songs = {song.song_id: song for song in find_songs([root])}
    song = songs["001"]
    assert song.beats_path is not None
    assert song.chords_path is not None
    assert song.key_path is not None
    beats = read_beats(song.beats_path)
    assert beats.downbeat.tolist() == [True, False, False, False, True]  # the second flag: bars of four
    assert read_chords(song.chords_path)[1] == (1.0, 2.0, "C#:min7")
    assert read_key(song.key_path) == (6, "major")
    assert songs["001/versions/001-v1"].group == song.group
    assert songs["001/versions/001-v1"].beats_path is None


def test_triple_meter_of_pop909_uses_the_short_bars(tmp_path: Path) -> None:
    path = tmp_path / "beat_midi.txt"
    path.write_text("".join(f"{0.5 * i} {float(i % 3 == 0)} {float(i % 6 == 0)}\n" for i in range(13)))
    assert np.flatnonzero(read_beats(path).downbeat).tolist() == [0, 3, 6, 9, 12]


def test_asap_beats_last_a_dotted_quarter_in_compound_meters(tmp_path: Path) -> None:
    path = tmp_path / "piece.txt"
    path.write_text(
        "1.0\t1.0\tdb,6/8,2\n2.0\t2.0\tb\n3.0\t3.0\tdb,2/2\n3.0\t3.0\tb\n4.0\t4.0\tbR\n5.0\t5.0\tdb,3/8,0\n"
    )
    beats = read_beats(path)
    assert beats.time_sec.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]  # an instant counts once
    assert beats.quarters.tolist() == [1.5, 1.5, 2.0, 2.0, 0.5]
    assert beats.downbeat.tolist() == [True, False, True, False, True]


def test_a_broken_beat_file_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "beat_midi.txt"
    path.write_text("0.1 1.0 1.0\noops\n")
    with pytest.raises(InputError, match=r"beat_midi\.txt, line 2"):
        read_beats(path)
    path.write_text("0.1 1.0 1.0\n")
    with pytest.raises(InputError, match="two or more"):
        read_beats(path)


def test_vgmidi_table_gives_signs_and_groups_phrases(tmp_path: Path) -> None:
    root = touch(tmp_path / "vgmidi", "labelled/phrases/Zelda_0.mid", "labelled/phrases/Zelda_1.mid", "other/Mario.mid")
    row = {"id": 1, "series": "Zelda", "console": "N64", "game": "Zelda", "piece": "Theme"}
    write_table(
        root / "vgmidi_labelled.csv",
        [
            {**row, "midi": "labelled/phrases/Zelda_0.mid", "valence": 1, "arousal": -1},
            {**row, "midi": "labelled/phrases/Zelda_1.mid", "valence": -1, "arousal": -1},
        ],
    )
    songs = {song.song_id: song for song in find_songs([root])}
    assert (songs["Zelda_0"].quadrant, songs["Zelda_1"].quadrant, songs["Mario"].quadrant) == ("Q4", "Q3", "")
    assert songs["Zelda_0"].group == songs["Zelda_1"].group != songs["Mario"].group
    assert math.isnan(songs["Mario"].valence)


def test_vgmidi_tables_that_write_low_as_zero(tmp_path: Path) -> None:
    root = touch(tmp_path / "vgmidi", "a_0.mid", "b_0.mid")
    row = {"id": 1, "series": "s", "console": "c", "game": "g", "piece": "p"}
    write_table(
        root / "vgmidi.csv",
        [
            {**row, "midi": "../a_0.mid", "valence": 0, "arousal": 1},
            {**row, "midi": "b_0.mid", "valence": 1, "arousal": 0},
        ],
    )
    assert [song.quadrant for song in find_songs([root])] == ["Q2", "Q4"]


def test_vgmidi_series_are_averaged_over_annotators(tmp_path: Path) -> None:
    root = touch(tmp_path / "vgmidi", "labelled/midi/Zelda.mid")
    raw = root / "labelled/annotations/vgmidi_raw_1.json"
    raw.parent.mkdir()
    raw.write_text(
        json.dumps(
            {
                "annotations": {
                    "piece0_1": {"valence": [0.2, 0.4, 0.6, 0.8], "arousal": [-1, -1, -1, -1]},
                    "piece0_2": {"valence": [0.0, 0.0, 0.0, 0.0], "arousal": [0, 0, 0, 0]},
                    "piece0_3": {"valence": [9.0], "arousal": [9.0]},
                },
                "pieces": {"piece0": {"midi": "Zelda.mid", "duration": 8, "measures": 4, "name": "Zelda"}},
            }
        )
    )
    (song,) = find_songs([root])
    assert song.label_kind == "rating"
    np.testing.assert_allclose((song.valence, song.arousal), (0.25, -0.5))
    assert song.quadrant == "Q4"
    assert song.curve_path is not None
    np.testing.assert_allclose(read_curve(song.curve_path, "Zelda")[:, 0], [0, 2, 4, 6])
    np.testing.assert_allclose(read_curve(song.curve_path, "Zelda")[:, 1], [0.1, 0.2, 0.3, 0.4])
    assert read_curve(song.curve_path, "Mario").shape == (0, 3)


def test_metadata_is_authoritative_and_scales_are_mapped(tmp_path: Path) -> None:
    root = touch(tmp_path / "corpora", "memomusic-x/midi/Q1_a_1.mid", "emopia-x/midi/Q3_b_1.mid", "notes/readme.mid")
    write_table(
        root / "memomusic-x/metadata.csv",
        [{
            "id": "m1", "file": "midi/Q1_a_1.mid", "title": "T", "composer": "C", "genre_group": "funk/soul",
            "quadrant": "", "valence": "-5", "arousal": "7.5", "licence": "CC0", "licence_class": "permissive",
            "split": "validation",
        }],
    )  # fmt: skip
    write_table(
        root / "emopia-x/metadata.csv",
        [{"id": "e1", "file": "midi/Q3_b_1.mid", "quadrant": 3, "valence": -1, "arousal": -1, "song_id": "b"}],
    )
    songs = {song.song_id: song for song in find_songs([root])}  # a folder of corpora is one source
    memo, emopia = songs["m1"], songs["e1"]
    assert (memo.valence, memo.arousal, memo.label_kind) == (-1.0, 0.5, "rating")  # not Q1, as the name would say
    assert (memo.genre, memo.split, memo.licence_class, memo.corpus) == ("funk", "val", "permissive", "memomusic-x")
    assert (emopia.label_kind, emopia.quadrant, emopia.group) == ("quadrant", "Q3", "b")
    assert emopia.licence_class == "unclear"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"quadrant": "7"}, "quadrant 'Q?7'"),
        ({"valence": "high"}, "must be numbers"),
        ({"valence": "-1.5", "arousal": "0"}, "do not fit"),
        ({"licence_class": "free"}, "licence_class 'free' is none of"),
        ({"file": "midi/gone.mid"}, "there is no file 'midi/gone.mid'"),
    ],
)
def test_a_bad_metadata_row_is_refused_with_its_line(tmp_path: Path, row: dict[str, str], message: str) -> None:
    root = touch(tmp_path / "x", "midi/a.mid")
    write_table(root / "metadata.csv", [{"id": "a", "file": "midi/a.mid", **row}])
    with pytest.raises(InputError, match=f"line 2: .*{message}"):
        find_songs([root])


def test_folders_named_after_genres(tmp_path: Path) -> None:
    root = touch(tmp_path / "tree", "m/Hip-Hop/a.mid", "m/jazz/deep/b.mid", "m/Unsorted/c.mid", "m/rock.mid")
    assert [(song.song_id, song.genre) for song in find_songs([root])] == [
        ("m/Hip-Hop/a", "hiphop"), ("m/Unsorted/c", ""), ("m/jazz/deep/b", "jazz"), ("m/rock", ""),
    ]  # fmt: skip


def test_bare_folders_and_single_files(tmp_path: Path) -> None:
    root = touch(tmp_path / "mine", "x/a.mid", "b.MIDI", "notes.txt", ".hidden/c.mid")
    assert [song.song_id for song in find_songs([root])] == ["b", "x/a"]
    assert [song.song_id for song in find_songs([root, root / "b.MIDI"])] == ["b", "x/a"]  # a file counts once
    assert {song.licence_class for song in find_songs([root])} == {"unclear"}


def test_songs_of_folders_with_one_name_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path, "one/midi/a.mid", "two/midi/a.mid")
    assert [song.song_id for song in find_songs([tmp_path / "one/midi", tmp_path / "two/midi"])] == ["a", "a#2"]


def test_links_to_folders_are_followed_and_come_to_an_end(tmp_path: Path) -> None:
    far, near = tmp_path / "elsewhere" / "songs", tmp_path / "here" / "own"
    for path in (far / "deep" / "a.mid", near / "b.mid", near / ".hidden" / "c.mid"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (near / "linked").symlink_to(far)
    (near / "again").symlink_to(far)  # the same music once more
    (far / "back").symlink_to(near)
    (near / "self").symlink_to(near)
    (near / "nowhere").symlink_to(tmp_path / "gone")
    assert sorted(song.source for song in find_songs([near])) == ["again/deep/a.mid", "b.mid"]
    (tmp_path / "alias").symlink_to(near)
    assert len(find_songs([tmp_path / "alias", near])) == 2


def test_links_between_corpora_come_to_an_end(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mid").write_bytes(b"")
    (tmp_path / "one" / "metadata.csv").write_text("id,file\na,a.mid\n", encoding="utf-8")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "alias").symlink_to(tmp_path / "one")
    assert [song.path for song in find_songs([tmp_path])] == [tmp_path / "one" / "a.mid", tmp_path / "two" / "a.mid"]


def test_sources_without_music_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        find_songs([tmp_path / "gone"])
    with pytest.raises(InputError, match="no MIDI file in it"):
        find_songs([tmp_path])


@pytest.mark.parametrize(
    ("words", "genre"),
    [
        ("Funk / Soul", "funk"), ("Stage & Screen", "stage"), ("video game (rock/metal/ambient)", "game"),
        ("new age piano (Yanni)", "newage"), ("Folk, World, & Country", "country"), ("Brass & Military", "march"),
        ("string quartet", ""), ("pop", "pop"),
    ],
)  # fmt: skip
def test_genre_words(words: str, genre: str) -> None:
    assert genre_of(words) == genre
    assert genre in (*GENRES, "")


def test_works_meet_under_one_name() -> None:
    names = {work_name("Prélude, in C!", who) for who in ("Bach, Johann Sebastian", "J. S. Bach", "BachJS", "bach")}
    assert names == {"preludeinc|bach"}
    assert work_name("Prelude", "") == work_name("", "Bach") == ""


# ------------------------------------------------------------------------------------------------------ damaged tables


def damaged(root: Path, name: str, data: bytes) -> Path:
    """A corpus of one file, with a file of the source's in which something is wrong."""
    touch(root, "midi/a.mid")
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    return root


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("id,file,title\na,midi/a.mid,Prélude\n".encode("latin-1"), 2),
        ("id,file,Künstler\na,midi/a.mid,x\n".encode("latin-1"), 1),
        ("id,file\na,midi/a.mid\n".encode("utf-16"), 1),
    ],
)
def test_a_table_that_is_no_utf8_is_refused_and_not_passed_over(tmp_path: Path, data: bytes, line: int) -> None:
    root = damaged(tmp_path / "x", "metadata.csv", data)
    with pytest.raises(InputError, match=rf"metadata\.csv, line {line}: .*save .* in UTF-8"):
        find_songs([root])
    with pytest.raises(InputError, match=rf"metadata\.csv, line {line}: "):
        find_songs([tmp_path])  # and not in a folder of corpora either


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f'a,midi/a.mid,"{"x" * 140_000}"', "no row of a table .*field larger"),
        ("a,/etc/passwd,t", "'/etc/passwd' must be a path inside"),
        ("a,../x/midi/a.mid,t", r"'\.\./x/midi/a\.mid' must be a path inside"),
        ("a,midi\\..\\..\\a.mid,t", "must be a path inside"),
        ("a,,t", "'' must be a path inside"),
        ("../../a,midi/a.mid,t", r"id '\.\./\.\./a' must not"),
        ("a,midi/a.mid,Allegro, con brio", "4 values under 3 names: put quotes"),
    ],
)
def test_rows_that_lead_astray_are_refused_with_their_line(tmp_path: Path, row: str, message: str) -> None:
    root = damaged(tmp_path / "x", "metadata.csv", f"id,file,title\n{row}\n".encode())
    with pytest.raises(InputError, match=rf"metadata\.csv, line 2: .*{message}"):
        find_songs([root])


def test_beats_a_bar_that_are_no_number_are_refused(tmp_path: Path) -> None:
    root = damaged(tmp_path / "x", "metadata.csv", b"id,file,num_beats_per_measure\na,midi/a.mid,three\n")
    with pytest.raises(InputError, match="line 2: num_beats_per_measure 'three'"):
        find_songs([root])


@pytest.mark.parametrize(
    "line", ["nan 1.0 1.0", "inf 0 0", "1.0\t1.0\tdb,6/0,2", "1.0\t1.0\tdb,0/4", "1.0\t1.0\tdb,3/4/4"]
)
def test_beats_that_are_none_are_refused_with_their_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "beat_midi.txt"
    path.write_text(f"0.5 0.5 0\n{line}\n2.0 0 0\n")
    with pytest.raises(InputError, match=r"beat_midi\.txt, line 2"):
        read_beats(path)


def test_annotations_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "any.txt"
    path.write_bytes(b"0.0 1.0 C:maj\n\xff\xfe\x00\n")
    for read in (read_beats, read_chords, read_key):
        with pytest.raises(InputError, match=r"any\.txt, line 2: byte 0xff is no UTF-8"):
            read(path)
        with pytest.raises(InputError, match=r"gone\.txt: no such file"):
            read(tmp_path / "gone.txt")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("vgmidi_raw_1.json", b"[1]", "a JSON object is needed, this is a list"),
        ("vgmidi_raw_1.json", b"[" * 100_000, "not readable as JSON"),
        ("vgmidi_raw_1.json", b'{"pieces": [1]}', "'pieces' must be a JSON object"),
        ("vgmidi_raw_1.json", b'{"pieces": {"p": {"midi": "a.mid"}}}', "piece 'p' has no"),
        (
            "vgmidi_raw_1.json",
            b'{"pieces": {"p": {"midi": "a.mid", "duration": 9}}, "annotations": {"p_1": {"valence": [1]}}}',
            "annotation 'p_1' has no",
        ),
        ("t.csv", b"series,console,game,piece,midi,valence,arousal\ns,c,g,p,a.mid,high,1\n", "line 2: valence 'high'"),
        ("t.csv", b"series,console,game,piece,midi,valence,arousal\ns,c,g,p,\xe9.mid,1,1\n", "line 2: byte 0xe9"),
    ],
)
def test_damaged_tables_of_vgmidi_are_one_line(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        find_songs([damaged(tmp_path / "vgmidi", name, data)])
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"\x1f\x8b\x08\x00broken", "cannot be read"), (b"piece_id,measure\n", "cannot be read")],
)
def test_damaged_curves_are_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "valence_arousal.csv.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_curve(path, "a")


def test_labels_are_read_alike_by_everyone(tmp_path: Path) -> None:
    """Judges, mapping and selector read EMOPIA and VGMIDI through the same two functions."""
    touch(tmp_path / "emopia-nc", "midi/Q1_abcdefghijk_0.mid", "midi/Q3_abcdefghijk_1.mid", "midi/Q2_other_0.mid")
    rows = [
        {"id": "Q1_abcdefghijk_0", "quadrant": 1, "split": "train"},
        {"id": "Q3_abcdefghijk_1", "quadrant": 3, "split": "val"},
        {"id": "Q2_other_0", "quadrant": 2, "split": ""},
    ]
    table = [{**row, "file": f"midi/{row['id']}.mid", "song_id": "abc", "valence": 1, "arousal": 1} for row in rows]
    write_table(tmp_path / "emopia-nc" / "metadata.csv", table)
    (clip,) = emopia_clips(tmp_path, "train")
    assert (clip.song_id, clip.quadrant, clip.group) == ("Q1_abcdefghijk_0", "Q1", "abc")
    assert recording_of(clip.song_id) == "abcdefghijk"
    assert recording_of("Zelda_1") == "Zelda_1"
    with pytest.raises(InputError, match=r"metadata\.csv: no row has split = test"):
        emopia_clips(tmp_path, "test")
    with pytest.raises(InputError, match=r"vgmidi-unclear.metadata\.csv: no such file; give the folder that holds"):
        vgmidi_pieces(tmp_path)
    touch(tmp_path / "vgmidi-unclear", "midi/a.mid", "midi/b.mid")
    rated = {"id": "a", "file": "midi/a.mid", "quadrant": 2, "valence": -0.2, "arousal": 0.3, "series": "Zelda"}
    write_table(tmp_path / "vgmidi-unclear" / "metadata.csv", [rated, {"id": "b", "file": "midi/b.mid"}])
    (piece,) = vgmidi_pieces(tmp_path)
    assert (piece.song_id, piece.series, piece.valence, piece.arousal) == ("a", "Zelda", -0.2, 0.3)
