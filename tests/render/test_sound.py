"""Sound: at the right pitch, as loud as promised, never clipped, the same twice."""

from __future__ import annotations

import importlib.util
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from muse.errors import InputError
from muse.render import SAMPLE_RATE, find_soundfont, render_audio, render_stems
from muse.render.loudness import loudness_lufs, set_loudness, true_peak_db
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes


@pytest.fixture(autouse=True)
def _small_soundfont(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSE_SOUNDFONT", str(SMALL))


package = importlib.util.find_spec("pretty_midi")
assert package is not None and package.origin is not None
SMALL = Path(package.origin).parent / "TimGM6mb.sf2"


def tone(pitch: int, program: int = 0, velocity: int = 90, beats: float = 2) -> Score:
    notes = np.array([(0, beats, 0, beats, pitch, velocity, program, 0)], NOTE_DTYPE)
    return from_notes(notes, tempo_bpm=60)


def cents_off(samples: np.ndarray, pitch: int) -> float:
    """How far the strongest harmonic series near a pitch lies from it."""
    part = samples.mean(axis=0)[int(0.3 * SAMPLE_RATE) : int(1.5 * SAMPLE_RATE)]
    n = 1 << 18
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), n))
    cents = np.arange(-100, 101)
    fundamental = 440 * 2 ** ((pitch - 69) / 12) * 2 ** (cents / 1200)
    harmonics = np.arange(1, 6)
    bins = np.rint(fundamental[:, None] * harmonics * n / SAMPLE_RATE).astype(int)
    return float(cents[(spectrum[bins] / harmonics).sum(axis=1).argmax()])


@pytest.mark.parametrize(("program", "pitch"), [(0, 60), (40, 67), (56, 72), (24, 43)])
def test_notes_sound_at_their_pitch(program: int, pitch: int) -> None:
    assert abs(cents_off(render_audio(tone(pitch, program)), pitch)) <= 15


def test_loudness_is_that_of_the_standard() -> None:
    """EBU Tech 3341, tests 1 to 3: a 1 kHz sine in both channels at -23 dBFS, alone and between softer ones."""
    rate = 48_000

    def sine(level_db: float, seconds: float, frequency: float = 1000.0) -> np.ndarray:
        wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)
        return np.stack([wave, wave]).astype(np.float32)

    assert loudness_lufs(sine(-23, 5), rate) == pytest.approx(-23, abs=0.1)
    assert loudness_lufs(sine(-33, 5), rate) == pytest.approx(-33, abs=0.1)
    gated = np.concatenate([sine(-36, 5), sine(-23, 30), sine(-36, 5)], axis=1)
    assert loudness_lufs(gated, rate) == pytest.approx(-23, abs=0.1)
    left = sine(0, 5, 997.0)
    left[1] = 0
    assert loudness_lufs(left, rate) == pytest.approx(-3.01, abs=0.05)  # BS.1770-5, annex 1
    assert loudness_lufs(np.zeros((2, rate), np.float32), rate) == -math.inf
    assert loudness_lufs(left[:, :100], rate) == -math.inf


def test_true_peaks_lie_between_samples() -> None:
    """A quarter of the sample rate, 45 degrees off: samples reach 3 dB less than the wave (BS.1770-5, annex 2)."""
    wave = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4).astype(np.float32) * 0.5
    wave *= np.hanning(4000).astype(np.float32)
    assert 20 * math.log10(float(np.abs(wave).max())) == pytest.approx(-9.03, abs=0.05)
    assert true_peak_db(wave) == pytest.approx(-6.02, abs=0.15)
    assert true_peak_db(np.zeros(10, np.float32)) == -math.inf


@pytest.mark.parametrize("seed", range(4))
def test_peaks_are_limited_and_loudness_is_reached(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=(2, 3 * 48_000)).astype(np.float32) * 0.02
    for place in rng.integers(0, sound.shape[1], 12):
        sound[:, place : place + 40] += rng.choice([-1, 1]) * 0.7
    done = set_loudness(sound, 48_000, target_lufs=-16, ceiling_db=-1)
    assert loudness_lufs(done, 48_000) == pytest.approx(-16, abs=0.5)
    assert true_peak_db(done) <= -1 + 1e-3
    quiet = done[:, ::-1] * np.float32(0.01)
    np.testing.assert_allclose(  # no limiting needed: a change of gain alone
        np.corrcoef(set_loudness(quiet[:, :40_000], 48_000, target_lufs=-40, ceiling_db=-1)[0], quiet[0, :40_000])[
            0, 1
        ],
        1,
    )


def test_pieces_have_the_loudness_and_the_length(song: Score) -> None:
    samples = render_audio(song)
    assert samples.dtype == np.float32 and samples.shape[0] == 2
    assert loudness_lufs(samples, SAMPLE_RATE) == pytest.approx(-16, abs=0.5)
    assert true_peak_db(samples) <= -1 + 1e-3
    seconds = samples.shape[1] / SAMPLE_RATE
    assert 20 < seconds < 24.5  # 32 beats at 96 a minute, and what rings on
    assert np.abs(samples[:, -10:]).max() < 1e-3
    np.testing.assert_array_equal(samples, render_audio(song))


def test_what_rings_is_kept() -> None:
    samples = render_audio(tone(60, program=9, beats=0.25))  # a glockenspiel rings long
    assert samples.shape[1] / SAMPLE_RATE > 0.75


def test_many_loud_notes_do_not_clip() -> None:
    notes = np.zeros(70, NOTE_DTYPE)
    notes["pitch"], notes["velocity"], notes["program"] = np.arange(30, 100), 127, 56
    notes["duration_beat"] = 4
    samples = render_audio(from_notes(notes))
    peak = np.abs(samples).max()
    top = np.abs(samples) >= peak * 0.9999
    assert not (top[:, 2:] & top[:, 1:-1] & top[:, :-2]).any()  # clipped sound lies on its peak for samples in a row
    assert loudness_lufs(samples, SAMPLE_RATE) == pytest.approx(-16, abs=1)


def test_more_instruments_than_channels_all_play() -> None:
    notes = np.zeros(20, NOTE_DTYPE)
    notes["onset_beat"], notes["duration_beat"], notes["pitch"], notes["velocity"] = np.arange(20), 1, 60, 90
    notes["program"] = notes["track"] = np.arange(20)
    samples = render_audio(from_notes(notes, tempo_bpm=60))
    for second in range(20):
        assert np.abs(samples[:, second * SAMPLE_RATE :][:, :SAMPLE_RATE]).max() > 0.01
    # The seventeenth is an organ, not the piano that shares its channel.
    found, organ, piano = (
        np.abs(np.fft.rfft(one[0, :40_000]))
        for one in (
            samples[:, 16 * SAMPLE_RATE :],
            render_audio(tone(60, program=16, beats=1)),
            render_audio(tone(60, program=1, beats=1)),
        )
    )
    assert np.corrcoef(found, organ)[0, 1] > 2 * np.corrcoef(found, piano)[0, 1]


def test_stems_add_up_to_the_whole(song: Score, tmp_path: Path) -> None:
    stems = render_stems(song, tmp_path / "stems")
    assert list(stems) == ["acoustic grand piano", "acoustic bass", "drums"]
    assert sorted(p.name for p in (tmp_path / "stems").iterdir()) == [
        "01-acoustic-grand-piano.wav", "02-acoustic-bass.wav", "03-drums.wav",
    ]  # fmt: skip
    whole, summed = render_audio(song), np.sum(list(stems.values()), axis=0)
    n = min(whole.shape[1], summed.shape[1])
    assert np.corrcoef(whole[0, :n], summed[0, :n])[0, 1] > 0.95
    assert true_peak_db(summed) <= -1 + 1e-3


def test_a_score_without_notes_gives_no_sound() -> None:
    empty = from_notes(np.empty(0, NOTE_DTYPE))
    assert render_audio(empty).shape == (2, 0)
    assert render_stems(empty) == {}


def test_drums_are_heard() -> None:
    samples = render_audio(tone(38, program=DRUMS, beats=1))
    assert np.abs(samples).max() > 0.1


def test_other_rates(song: Score) -> None:
    whole, half = render_audio(song), render_audio(song, sample_rate=24_000)
    assert half.shape[1] == pytest.approx(whole.shape[1] / 2, abs=2)


def test_the_soundfont_is_found_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.sf2"
    mine.write_bytes(b"RIFF....sfbk")
    assert find_soundfont(mine) == mine
    assert find_soundfont() == SMALL
    monkeypatch.setenv("MUSE_SOUNDFONT", str(mine))
    assert find_soundfont() == mine
    monkeypatch.setenv("MUSE_SOUNDFONT", str(tmp_path / "none.sf2"))
    with pytest.raises(InputError, match=r"none\.sf2 \(from MUSE_SOUNDFONT\): no such soundfont: give an SF2 file, or"):
        find_soundfont()
    monkeypatch.delenv("MUSE_SOUNDFONT")
    assert find_soundfont().is_file()


@pytest.mark.parametrize("content", [b"", b"no soundfont", b"RIFF\x00\x00\x00\x00sfbk", SMALL.read_bytes()[:100_000]])
def test_broken_soundfonts_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.sf2"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.sf2 is no soundfont"):
        render_audio(tone(60), soundfont=path)


def test_damaged_soundfonts_are_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Indices of zones that point beyond their table made the synthesizer panic."""
    data = bytearray(SMALL.read_bytes())
    start = data.rindex(b"ibag") + 8
    data[start + 4 : start + 6] = b"\xff\xff"
    path = tmp_path / "damaged.sf2"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"damaged\.sf2 is no soundfont that can be played"):
        render_audio(tone(60), soundfont=path)
    assert capfd.readouterr().err == ""


def test_endless_scores_are_refused() -> None:
    with pytest.raises(InputError, match="are played: cut it into parts"):
        render_audio(tone(60, beats=4000))


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="FluidSynth is not installed")
def test_fluidsynth_plays_the_same_notes() -> None:
    samples = render_audio(tone(69, program=73), synthesizer="fluidsynth")
    assert abs(cents_off(samples, 69)) <= 15
    assert loudness_lufs(samples, SAMPLE_RATE) == pytest.approx(-16, abs=0.5)


def test_fluidsynth_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"FluidSynth is not installed \(Debian: apt install fluidsynth"):
        render_audio(tone(60), synthesizer="fluidsynth")
