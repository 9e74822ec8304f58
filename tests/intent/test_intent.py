"""Claims about :mod:`muse.intent`."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle

import pytest
import symusic

from muse.emotion import EmotionPath
from muse.errors import InputError
from muse.intent import Intent, parse_time_signature
from muse.score import METERS, REWRITTEN_METERS


def _melody() -> symusic.Score:
    score = symusic.Score(480)
    track = symusic.Track("melody", 0, False)
    track.notes.append(symusic.Note(0, 480, 60, 80))
    score.tracks.append(track)
    return score


def test_defaults_ask_for_a_piano_piece_of_16_bars() -> None:
    intent = Intent()
    assert (intent.emotion, intent.key, intent.bars, intent.programs, intent.meter) == (None, None, 16, (0,), (4, 4))


def test_values_are_normalized() -> None:
    intent = Intent(emotion="Sad", genre=" Pop ", key="c# Minor", time_signature=(6, 8), instruments="Piano, 40,DRUMS")
    assert intent.emotion == EmotionPath.parse("sad")
    assert (intent.genre, intent.key, intent.time_signature) == ("pop", "C#m", "6/8")
    assert intent.instruments == ("piano", "violin", "drums")
    assert intent.programs == (0, 40, 128)
    assert intent.tonic_and_mode == (1, "minor")


def test_round_trip_through_json() -> None:
    intent = Intent(emotion="calm>tense", tempo_bpm=93.5, key="Bb", bars=7, attributes={"Mean Pitch": 61})
    again = Intent.from_json(intent.to_json())
    assert again == intent
    assert hash(again) == hash(intent)
    assert json.loads(intent.to_json())["attributes"] == {"Mean Pitch": 61.0}


def test_round_trip_with_a_melody() -> None:
    intent = Intent(melody=_melody())
    again = Intent.from_json(intent.to_json())
    assert again.melody is not None
    assert [note.pitch for note in again.melody.tracks[0].notes] == [60]
    assert again.to_json() == intent.to_json()


def test_intent_is_frozen_and_travels_between_processes() -> None:
    intent = Intent(emotion="happy")
    with pytest.raises(dataclasses.FrozenInstanceError):
        intent.bars = 3  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(intent)) == intent
    assert dataclasses.replace(intent, bars=3).bars == 3


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        Intent(
            emotion="sadd",
            genre="",
            tempo_bpm=2,
            key="H",
            time_signature="4/3",
            instruments=("pianno", 200),
            bars=0,
            attributes={"Mean Pitch": math.nan},
            melody=3,  # type: ignore[arg-type]
            chords="Am | H7",
            form="A-2",
        )
    message = str(caught.value)
    for field in dataclasses.fields(Intent):
        assert f"{field.name}: " in message
    for slip in ("did you mean sad", "120 BPM", "for H write B", "did you mean 3/4", "did you mean 'piano'", "1..512"):
        assert slip in message
    assert "program 200" in message  # the second fault of one field


@pytest.mark.parametrize("bars", [0, 513, 1.5, "16", True, None])
def test_illegal_bars(bars: object) -> None:
    with pytest.raises(InputError, match="bars: "):
        Intent(bars=bars)  # type: ignore[arg-type]


@pytest.mark.parametrize("tempo", [19.9, 300.1, math.nan, math.inf, "fast", True])
def test_illegal_tempo(tempo: object) -> None:
    with pytest.raises(InputError, match="tempo_bpm: "):
        Intent(tempo_bpm=tempo)  # type: ignore[arg-type]


def test_unknown_field_of_a_document_gets_a_hint() -> None:
    with pytest.raises(InputError, match=r"did you mean 'tempo_bpm'\?"):
        Intent.from_dict({"tempo": 90, "tempo_bmp": 90})
    with pytest.raises(InputError, match="is not JSON"):
        Intent.from_json("{")
    with pytest.raises(InputError, match="JSON object"):
        Intent.from_json("[1]")


@pytest.mark.parametrize("text", ["4", "0/4", "33/4", "3/5", "x", "3/4/4", (3,), 3])
def test_what_is_no_time_signature(text: object) -> None:
    with pytest.raises(InputError, match="is not a time signature"):
        parse_time_signature(text)  # type: ignore[arg-type]


def test_only_meters_that_can_be_written_are_taken() -> None:
    assert len(METERS) == 9
    for beats, unit in (*METERS, *REWRITTEN_METERS):
        assert Intent(time_signature=(beats, unit)).meter == (beats, unit)
    with pytest.raises(InputError, match="time_signature: music in 7/8 cannot be written, choose one of 2/4, 3/4, 4/4"):
        Intent(time_signature="7/8")


def test_an_instrument_may_be_asked_for_twice() -> None:
    intent = Intent(instruments="violin, violin, viola, cello")
    assert intent.instruments == ("violin", "violin", "viola", "cello")
    assert intent.programs == (40, 41, 42)
    assert Intent.from_json(intent.to_json()) == intent


def test_a_request_in_words_names_what_is_asked_for_and_what_is_open() -> None:
    words = Intent(emotion="sad", key="F#m", instruments="violin, violin, cello", bars=1, tempo_bpm=90).in_words()
    assert "1 bar of 4/4 for violin (2), cello" in words and "sad (valence -0.60" in words
    assert "in F# minor" in words and "at 90 BPM" in words and words.endswith("genre is open")
    assert "from calm to tense to happy" in Intent(emotion="calm > tense > happy").in_words()
    assert Intent().in_words().endswith("emotion, key, tempo and genre are open")
