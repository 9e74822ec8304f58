"""The gate is fitted, and measured on kinds that it never heard; noise of every kind is sound, tunes have one voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import symusic

from muse.audio import write_audio
from muse.errors import InputError
from muse.recognizer.features.steadiness import FIGURES
from muse.training.recognizer.babble import VOWELS, _mouth, babble
from muse.training.recognizer.gate import KEPT, _left_out, _left_out_folds, fit_gate
from muse.training.recognizer.gate_takes import MUSIC, Takes, hear_takes
from muse.training.recognizer.noise import NOISES, noise
from muse.training.recognizer.tunes import a_chord, line_of, played_alone, played_plainly

RATE = 16_000


@pytest.mark.parametrize("kind", NOISES)
def test_every_kind_makes_sound_of_its_own(kind: str) -> None:
    one, same, other = (noise(kind, 8000, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert one.dtype == np.float32 and 1.4 * 8000 < len(one) < 20.1 * 8000
    assert 0.05 < np.abs(one).max() < 0.9 and np.isfinite(one).all()
    assert len(one) != len(other) or not np.array_equal(one, other)


@pytest.fixture
def takes(rng: np.random.Generator) -> Takes:
    """Music in one place, three kinds of other sound around it, sirens and glides near to each other."""
    places = {"scores": 0.0, "plain": 0.3, "siren": 3.0, "glides": 3.2, "rain": -3.0}
    kind = np.repeat(list(places), 40)
    middle = np.array([places[name] for name in kind])[:, None]
    x = rng.normal(middle, 1.0, (len(kind), 6)).astype(np.float32)
    return Takes(x[:, :3], x[:, 3:], kind, np.array([f"{name} {i}" for i, name in enumerate(kind)]))


def test_music_passes_and_kinds_are_refused_unheard(takes: Takes) -> None:
    gate, measured = fit_gate(takes)
    assert measured["kept"]["all"] == pytest.approx(KEPT, abs=0.015)
    assert measured["takes"] == dict.fromkeys(sorted(set(takes.kind.tolist())), 40)
    assert set(measured["refused"]) == set(measured["refused_left_out"]) == {"siren", "glides", "rain"}
    assert min(measured["refused"].values()) > 0.9
    assert set(measured["refused_without_family"]) == {"siren", "glides"}
    assert measured["refused_left_out"]["siren"] >= measured["refused_without_family"]["siren"]
    music = gate(takes.embedding, takes.figures)[takes.is_music]
    assert (music >= 0.5).mean() >= KEPT - 0.02


def test_leaving_out_by_blocks_is_solving_anew(rng: np.random.Generator) -> None:
    x, target, fold = rng.normal(size=(30, 3)), rng.normal(size=30), np.arange(30) % 5
    kernel = np.exp(-((x[:, None] - x) ** 2).sum(axis=2))
    matrix = kernel + 0.1 * np.eye(30)
    out = np.arange(30) < 7
    rest, said = _left_out(np.linalg.inv(matrix), target, out)
    solved = np.linalg.solve(matrix[np.ix_(~out, ~out)], target[~out])
    np.testing.assert_allclose(said, kernel[np.ix_(out, ~out)] @ solved, atol=1e-9)
    np.testing.assert_allclose(rest, np.linalg.inv(matrix[np.ix_(~out, ~out)]), atol=1e-9)
    said = _left_out_folds(np.linalg.inv(matrix), target, fold)
    for k in range(5):
        known = fold != k
        solved = np.linalg.solve(matrix[np.ix_(known, known)], target[known])
        np.testing.assert_allclose(said[~known], kernel[np.ix_(~known, known)] @ solved, atol=1e-9)


def test_too_few_files_are_refused(takes: Takes) -> None:
    few = Takes(takes.embedding, takes.figures, takes.kind, np.where(takes.is_music, "song", takes.source))
    with pytest.raises(InputError, match="only 1 files of music"):
        fit_gate(few)


def a_score(pitches: tuple[int, ...] = (60, 64, 67, 72), drums: bool = False) -> symusic.Score:
    """Half notes at 120 beats a minute over a held bass."""
    score = symusic.Score(480)
    track = symusic.Track("", 0, drums)
    for i, pitch in enumerate(pitches):
        track.notes.append(symusic.Note(480 * i, 480, pitch, 80))
    track.notes.append(symusic.Note(0, 480 * len(pitches), 40, 80))
    score.tracks.append(track)
    return score


def test_the_line_on_top_is_one_voice() -> None:
    line = line_of(a_score().to("second"))
    np.testing.assert_allclose(line[:, 0], [0, 0.5, 1, 1.5], atol=1e-6)
    assert line[:, 2].tolist() == [60, 64, 67, 72]
    assert (line[:-1, 0] + line[:-1, 1] <= line[1:, 0] + 1e-6).all()
    assert line_of(a_score(drums=True).to("second")).shape == (0, 4)


def test_tunes_sound_at_their_notes() -> None:
    line = np.array([[0.0, 0.5, 69.0, 100.0], [1.0, 0.5, 69.0, 100.0]])
    for play in (played_alone, played_plainly):
        sound = play(line, np.random.default_rng(3), RATE)
        loud = [float(np.abs(sound[int(a * RATE) : int(b * RATE)]).mean()) for a, b in ((0.1, 0.4), (0.9, 0.97))]
        assert loud[0] > 3 * loud[1] and np.isfinite(sound).all()
    assert not played_plainly(np.zeros((0, 4)), np.random.default_rng(0), RATE).any()


def test_a_chord_sounds_at_once() -> None:
    heard = [a_chord(np.random.default_rng(seed), RATE) for seed in range(6)]
    for sound in heard:
        assert len(sound) > 0.4 * RATE and np.abs(sound[: RATE // 5]).max() > 0.01 and np.isfinite(sound).all()
        _, peaks = scipy.signal.find_peaks(np.abs(np.fft.rfft(sound[: RATE // 2] * np.hanning(RATE // 2))), height=1)
        assert len(peaks["peak_heights"]) >= 3
    assert len({len(sound) for sound in heard}) > 1


def regular(sound: np.ndarray) -> float:
    """How regular a voice is: the largest autocorrelation at the periods of 60 to 400 Hz, median of loud windows."""
    windows = sound[: len(sound) // 640 * 640].reshape(-1, 640)
    found = []
    for window in windows[windows.std(axis=1) > 0.5 * windows.std()]:
        spectrum = np.fft.rfft(window - window.mean(), 2048)
        echo = np.fft.irfft(np.abs(spectrum) ** 2)
        found.append(echo[RATE // 400 : RATE // 60].max() / echo[0])
    return float(np.median(found))


def test_voices_have_a_larynx_and_whispers_none() -> None:
    for seed in range(4):
        spoken, whispered = (
            babble(5 * RATE, RATE, np.random.default_rng(seed), whispered=whispered) for whispered in (False, True)
        )
        assert regular(spoken) > 0.5 > regular(whispered)
        loud = np.sqrt(np.square(spoken.reshape(-1, RATE // 20)).mean(axis=1))
        assert (loud < 0.02 * loud.max()).mean() > 0.02  # it rests between phrases


@pytest.mark.parametrize("vowel", range(len(VOWELS)))
def test_a_mouth_rings_at_its_formants(vowel: int) -> None:
    hertz = np.arange(100.0, 3200.0, 5)
    gain = np.log(_mouth(hertz, VOWELS[vowel : vowel + 1], 1.0)[0])
    peaks = hertz[scipy.signal.find_peaks(gain)[0]]
    for formant in VOWELS[vowel, :2]:
        assert np.abs(peaks - formant).min() < 0.06 * formant


class Ear:
    """An encoder that hears loudness."""

    name, sample_rate, width = "ear", RATE, 1
    heard = 0

    def encode(self, samples: np.ndarray) -> np.ndarray:
        self.heard += 1
        n = -(-len(samples) // (RATE // 2))
        padded = np.pad(samples, (0, n * RATE // 2 - len(samples))).reshape(n, -1)
        return np.abs(padded).mean(axis=1, keepdims=True)


def test_takes_are_of_files_and_noise_and_are_heard_once(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muse.training.recognizer.gate_takes.NOISES", {"band": NOISES["band"]})
    for name in ("songs", "speech/anna", "midi"):
        (tmp_path / name).mkdir(parents=True)
    write_audio((0.1 * rng.normal(size=4 * RATE)).astype(np.float32), RATE, tmp_path / "songs" / "a.wav")
    write_audio((0.1 * rng.normal(size=4 * RATE)).astype(np.float32), RATE, tmp_path / "speech" / "anna" / "b.wav")
    write_audio(np.zeros(4 * RATE, np.float32), RATE, tmp_path / "songs" / "silent.wav")
    for name, drums in (("1.mid", False), ("2.mid", True), ("3.mid", False)):
        a_score(drums=drums).dump_midi(tmp_path / "midi" / name)
    (tmp_path / "midi" / "4.mid").write_text("no MIDI")
    ear = Ear()
    asked = ([tmp_path / "songs", tmp_path / "midi"], [tmp_path / "speech"], ear, tmp_path / "cache")
    takes = hear_takes(*asked, n_music=4, n_noises=20)
    assert takes.is_music.tolist() == [kind not in ("band", "speech") for kind in takes.kind]
    seconds = takes.figures[:, FIGURES.index("seconds")]
    kinds, short = takes.kind[seconds >= 3].tolist(), takes.kind[seconds < 3].tolist()
    assert kinds.count("recordings") == 1 and kinds.count("speech") == 1
    assert {"scores", "drums"} <= set(kinds) <= {*MUSIC, "band", "speech"}
    assert 2 <= short.count("band") <= 7 and len(set(takes.source[takes.kind == "band"].tolist())) == 20
    assert takes.kind.tolist().count("chords") == 1
    assert takes.source[takes.kind == "speech"].tolist() == [str(tmp_path / "speech" / "anna")]
    heard = ear.heard
    again = hear_takes(*asked, n_music=4, n_noises=20)
    assert ear.heard == heard == len(takes.kind)
    np.testing.assert_array_equal(again.figures, takes.figures)
    with pytest.raises(InputError, match="folders of sound or MIDI"):
        hear_takes([], [], ear, tmp_path / "cache")
