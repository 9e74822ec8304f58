"""The recogniser of sound: networks, chords, streaming, refusals."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import iirpeak, lfilter
from typer.testing import CliRunner

from muse.audio import open_media, write_audio
from muse.checkpoint import find, load_tensors, save_tensors
from muse.cli import app
from muse.corpora import open_dataset
from muse.emotion import GEMS
from muse.errors import InputError
from muse.recognizer import Recognizer
from muse.recognizer.encoders.musicnn import MusicnnEncoder
from muse.recognizer.features.chords import N_PROFILE, QUALITIES, Chord, Harmony, from_root, parse_chord
from muse.recognizer.features.signal import SAMPLE_RATE, STEP, SUMMARY_FEATURES, chroma, log_mel, semitones, summary
from muse.recognizer.features.windows import stream_features
from muse.recognizer.heads.network import Network, NetworkConfig, Windows
from muse.recognizer.heads.notes import ONSET
from muse.training.recognizer.chords import ChordSong, key_points, weighted_overlap
from muse.transcription.transcriber import Listening


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.from_pretrained()


def tones(pitches: list[int], seconds: float, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Pitches with five harmonics each."""
    time = np.arange(int(seconds * rate)) / rate
    hertz = [440 * 2 ** ((pitch - 69) / 12) for pitch in pitches]
    sound = sum(np.sin(2 * np.pi * f * k * time) / k for f in hertz for k in range(1, 6) if f * k < rate / 2)
    return (0.1 * np.asarray(sound)).astype(np.float32)


def progression(seconds_each: float = 2.0) -> np.ndarray:
    """C, A minor, F, G in close position over their bass."""
    chords = [[36, 60, 64, 67], [45, 60, 64, 69], [41, 60, 65, 69], [43, 59, 62, 67]]
    return np.concatenate([tones(chord, seconds_each) for chord in chords])


def test_the_mel_spectrogram_has_a_frame_every_256_samples_and_silence_is_zero() -> None:
    assert log_mel(np.zeros(16_000, np.float32)).shape == (63, 96)
    assert not log_mel(np.zeros(16_000, np.float32)).any()


def test_a_pitch_is_the_strongest_in_its_bin() -> None:
    frames = semitones(tones([57], 2.0))
    assert int(frames[10].argmax()) + 28 == 57
    assert int(chroma(frames)[10, 12:].argmax()) == 57 % 12


def test_the_summary_has_its_names_and_is_finite_for_silence_and_a_click() -> None:
    for samples in (np.zeros(1600, np.float32), np.eye(1, 8000, dtype=np.float32)[0], progression()):
        values = summary(samples)
        assert values.shape == (len(SUMMARY_FEATURES),) == (72,)
        assert np.isfinite(values).all()


def test_embeddings_do_not_depend_on_where_chunks_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muse.recognizer.encoders.musicnn.CHUNK_STEPS", 40)
    encoder = MusicnnEncoder.from_pretrained()
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000 * 26).astype(np.float32)
    whole = encoder.encode(samples)  # two chunks
    later = encoder.encode(samples[8 * STEP :])  # two chunks that end eight steps later
    assert whole.shape == (52, 400)
    np.testing.assert_allclose(whole[28:], later[20:], atol=1e-3)


def test_streamed_features_equal_whole_ones() -> None:
    encoder = MusicnnEncoder.from_pretrained()
    samples = np.random.default_rng(1).normal(0, 0.1, 16_000 * 25).astype(np.float32)
    blocks = [samples[i : i + 10 * SAMPLE_RATE] for i in range(0, len(samples), 10 * SAMPLE_RATE)]
    streamed = list(stream_features(blocks, encoder))
    (whole,) = stream_features([samples], encoder)
    assert [len(part.steps) for part in streamed] == [20, 20, 10]
    got = np.concatenate([part.steps for part in streamed])
    np.testing.assert_allclose(got[8:42, :400], whole.steps[8:42, :400], atol=1e-3)


@pytest.mark.parametrize(
    ("text", "root", "quality"),
    [
        ("C:maj", 0, "maj"),
        ("Gb:min7/b3", 6, "min7"),
        ("B", 11, "maj"),
        ("E:sus4(b7)", 4, "sus4"),
        ("D#:maj6", 3, "maj"),
    ],
)
def test_chords_are_read_as_harte_writes_them(text: str, root: int, quality: str) -> None:
    assert parse_chord(text) == (root, list(QUALITIES).index(quality))


def test_what_is_no_chord_is_refused() -> None:
    assert parse_chord("N") == (-1, -1)
    for text in ("H:maj", "C:huge", ""):
        with pytest.raises(InputError, match=r"chord|quality"):
            parse_chord(text)


def test_a_chord_looks_the_same_from_its_root() -> None:
    x = np.zeros((2, 12), np.float32)
    x[0, [0, 4, 7]] = x[1, [2, 6, 9]] = 1  # C and D major
    found = from_root(x)
    np.testing.assert_array_equal(found[0, 0], found[1, 2])


def test_a_progression_is_recognized_with_its_key(recognizer: Recognizer) -> None:
    harmony = recognizer.harmony.predict(semitones(progression(3.0)))
    lasting = [str(chord) for chord in harmony.chords if chord.end_sec - chord.start_sec > 1]
    assert [name.split("/")[0] for name in lasting] == ["C:maj", "A:min", "F:maj", "G:maj"]
    assert str(harmony.key) == "C"


def test_silence_has_neither_chord_nor_key(recognizer: Recognizer) -> None:
    harmony = recognizer.harmony.predict(semitones(np.zeros(16_000 * 3, np.float32)))
    assert [str(chord) for chord in harmony.chords] == ["N"]
    assert harmony.key is None


def test_chord_codes_keep_the_longest_in_order() -> None:
    chords = (Chord(0, 1, 0, "maj"), Chord(1, 1.1, 2, "min"), Chord(1.1, 4, -1, ""))
    codes = Harmony(chords, None).codes(2)
    assert codes.tolist() == [[1, 1, 1], [13, len(QUALITIES) + 1, 1]]


def test_overlap_and_key_points_are_those_of_mir_eval() -> None:
    mir_eval = pytest.importorskip("mir_eval")
    song = ChordSong("a", Path("a"), ((0, 2, "C:maj"), (2, 3, "N"), (3, 5, "A:min7"), (5, 6, "B:dim")), (0, "major"))
    found = (Chord(0, 1.5, 0, "maj7"), Chord(1.5, 3.5, -1, ""), Chord(3.5, 6, 9, "min"))
    reference = np.array([row[:2] for row in song.chords], float)
    estimate = np.array([[c.start_sec, c.end_sec] for c in found])
    names = [row[2] for row in song.chords], [str(c) for c in found]
    expected = mir_eval.chord.evaluate(reference, names[0], estimate, names[1])["majmin"]
    assert weighted_overlap(song, Harmony(found, None)) == pytest.approx(expected, abs=0.01)
    from muse.theory import PITCH_CLASS_NAMES, Key

    for mode in ("major", "minor"):
        for tonic in range(12):
            key = Key(tonic, mode, 1.0)  # type: ignore[arg-type]
            expected = mir_eval.key.evaluate("C minor", f"{PITCH_CLASS_NAMES[tonic]} {mode}")["Weighted Score"]
            assert key_points((0, "minor"), key) == expected


def test_what_is_masked_does_not_count() -> None:
    torch.manual_seed(0)
    network = Network(NetworkConfig(10, {"gems": 9, "quadrants": 4})).eval()
    there = torch.arange(60)[None] < 25
    chords = torch.zeros(1, 100, 3, dtype=torch.long)
    chords[0, :3] = torch.tensor([[1, 1, 1], [6, 1, 1], [8, 1, 2]])
    steps = torch.randn(1, 60, 10)
    profile = torch.randn(1, N_PROFILE)
    one = network(Windows(steps, there, chords, profile))
    other = network(Windows(steps * there[..., None] + 9 * ~there[..., None], there, chords[:, :7], profile))
    torch.testing.assert_close(one.plane, other.plane)
    torch.testing.assert_close(one.curve[:, :25], other.curve[:, :25])


def test_a_piece_is_recognized_whole_and_over_time(recognizer: Recognizer, tmp_path: Path) -> None:
    samples = np.tile(progression(2.0), 5)  # 40 s: several windows
    path = tmp_path / "piece.wav"
    write_audio(samples, SAMPLE_RATE, path)
    found, again = recognizer.recognize(path), recognizer.recognize(samples, SAMPLE_RATE)
    assert len(found.curve) == len(found.time_sec) == 80
    assert found.duration_sec == pytest.approx(40)
    assert sum(found.quadrants.values()) == pytest.approx(1, abs=1e-5)
    assert set(found.tags) == set(GEMS)
    assert str(found.key) == "C"
    assert found.emotion.valence == pytest.approx(again.emotion.valence, abs=0.05)
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("seconds", [0.1, 1.0, 29.9, 30.0, 31.0, 45.0, 60.5])
def test_every_length_has_a_point_for_every_half_second(recognizer: Recognizer, seconds: float) -> None:
    found = recognizer.recognize(tones([60, 64, 67], seconds), SAMPLE_RATE)
    assert len(found.curve) == int(np.ceil(seconds * 2))
    assert np.isfinite(found.curve).all()


@pytest.mark.parametrize("name", ["silence", "noise", "many channels", "high rate"])
def test_odd_sound_has_a_result(recognizer: Recognizer, name: str) -> None:
    random = np.random.default_rng(0)
    samples, rate = {
        "silence": (np.zeros(32_000), 16_000),
        "noise": (random.normal(0, 0.3, 32_000), 16_000),
        "many channels": (random.normal(0, 0.3, (8, 48_000)), 48_000),
        "high rate": (tones([60], 1.0, 192_000), 192_000),
    }[name]
    found = recognizer.recognize(samples, rate)
    assert np.isfinite(found.curve).all()
    assert 0 <= found.confidence <= 1
    if name in ("silence", "noise"):
        assert found.confidence < 0.1
    if name == "silence":
        assert found.confidence == 0
        assert found.key is None
        assert not found.named


def speech(seconds: float = 6.0) -> np.ndarray:
    """What a voice that reads sounds like to a microphone: a buzz of falling pitch through moving formants, pauses."""
    random = np.random.default_rng(2)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = (
        110 + 15 * np.sin(2 * np.pi * 0.4 * time) + np.repeat(random.normal(0, 6, 60), len(time) // 60 + 1)[: len(time)]
    )
    buzz = np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) > 0.97
    out = np.zeros(len(time))
    syllable = int(0.18 * SAMPLE_RATE)
    for first in range(0, len(time), syllable):
        part = slice(first, first + syllable)
        if random.random() < 0.2:
            continue
        source = buzz[part] + random.normal(0, 0.3 if random.random() < 0.3 else 0.02, len(buzz[part]))
        for formant in (random.uniform(300, 800), random.uniform(900, 2300), 2700):
            b, a = iirpeak(formant, 8, SAMPLE_RATE)
            out[part] += lfilter(b, a, source)
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def test_speech_is_no_music(recognizer: Recognizer) -> None:
    result = recognizer.recognize(speech(), SAMPLE_RATE)
    music = recognizer.recognize(progression(), SAMPLE_RATE)
    assert result.confidence < 0.1
    assert result.music < 0.2 < 0.5 < music.music
    assert np.isfinite(music.curve).all()


def test_broken_sound_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finite"):
        recognizer.recognize(np.full(1000, np.nan), 16_000)
    with pytest.raises(InputError, match="sample_rate"):
        recognizer.recognize(np.zeros(1000))
    (tmp_path / "text.mp3").write_text("no sound")
    with pytest.raises(InputError, match="cannot be read"):
        recognizer.recognize(tmp_path / "text.mp3")
    with pytest.raises(InputError, match="no such file"):
        recognizer.recognize(tmp_path / "absent.wav")


def test_a_truncated_mp3_is_recognized_as_far_as_it_goes(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp3"
    write_audio(progression(2.0), SAMPLE_RATE, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 2 < recognizer.recognize(path).duration_sec < 6


def test_a_profile_is_the_same_in_every_key(recognizer: Recognizer) -> None:
    predict = recognizer.harmony.predict
    one = predict(semitones(progression(3.0)))
    fifth = [
        [p + 7 for p in chord] for chord in ([36, 60, 64, 67], [45, 60, 64, 69], [41, 60, 65, 69], [43, 59, 62, 67])
    ]
    other = predict(semitones(np.concatenate([tones(chord, 3.0) for chord in fifth])))
    assert one.key is not None and other.key is not None and other.key.tonic == 7
    assert one.profile.shape == (N_PROFILE,)
    assert np.corrcoef(one.profile[:-3], other.profile[:-3])[0, 1] > 0.95


def test_a_listeners_ratings_move_the_curve(recognizer: Recognizer, tmp_path: Path) -> None:
    samples = np.tile(progression(2.0), 2)
    plain = recognizer.recognize(samples, SAMPLE_RATE)
    time = np.arange(0, 8, 0.5)
    rated = np.column_stack([time, np.full(len(time), 0.9), np.full(len(time), -0.9)])
    personal = recognizer.recognize(samples, SAMPLE_RATE, ratings=rated)
    assert personal.curve[18:24, 0].mean() > plain.curve[18:24, 0].mean() + 0.1
    assert personal.emotion.arousal < plain.emotion.arousal
    assert personal.curve_spread[2].max() < personal.curve_spread[-1].min()
    path = tmp_path / "rated.wav"
    write_audio(samples, SAMPLE_RATE, path)
    listener = recognizer.listener([(path, rated)])
    assert recognizer.recognize(progression(3.0), SAMPLE_RATE, listener=listener).curve[:, 0].mean() > (
        recognizer.recognize(progression(3.0), SAMPLE_RATE).curve[:, 0].mean()
    )
    for wrong in (np.zeros((3, 2)), rated[::-1], rated * 3, np.zeros((0, 3))):
        with pytest.raises(InputError, match="ratings"):
            recognizer.recognize(samples, SAMPLE_RATE, ratings=wrong)


def test_quadrant_valence_and_arousal_never_contradict(recognizer: Recognizer) -> None:
    random = np.random.default_rng(0)
    rated = np.array([[0, 0.9, -0.9], [0.5, 0.8, -0.9], [1, 0.9, -0.8]])
    for _ in range(4):
        chord = random.integers(40, 80, 4).tolist()
        sound = np.concatenate([tones(chord, 0.5), tones([pitch + 3 for pitch in chord], 0.5)] * 3)
        for ratings in (None, rated):
            found = recognizer.recognize(sound, SAMPLE_RATE, ratings=ratings)
            assert found.quadrant == found.emotion.quadrant and sum(found.quadrants.values()) == pytest.approx(1)


def test_the_notes_count_beside_the_sound(recognizer: Recognizer) -> None:
    """The same fast minor music, whatever it is played by: without the notes the answer is another."""
    assert recognizer.fusion is not None
    sound = np.concatenate([tones([33, 57, 60, 64 + step % 2], 0.25) for step in range(48)])
    whole = recognizer.recognize(sound, SAMPLE_RATE)
    deaf = Recognizer(recognizer.encoder, recognizer.harmony, recognizer.ensemble, recognizer.calibration)
    assert deaf.transcriber is None
    without = deaf.recognize(sound, SAMPLE_RATE)
    assert whole.quadrants != without.quadrants and whole.tags == without.tags
    # Where no note is heard the sound alone is asked.
    silence = np.zeros(4 * SAMPLE_RATE, np.float32)
    assert recognizer.recognize(silence, SAMPLE_RATE).quadrants == deaf.recognize(silence, SAMPLE_RATE).quadrants


def test_a_recording_is_decoded_once(recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_audio(progression(0.5), SAMPLE_RATE, path := tmp_path / "a.wav")
    opened: list[object] = []
    monkeypatch.setattr("muse.audio.open_media", lambda *given: opened.append(given) or open_media(*given))
    found = recognizer.recognize(path)
    assert opened == [(path, "audio")]
    assert recognizer.transcriber is not None
    heard = recognizer.transcriber.transcribe(path, onset=ONSET)
    monkeypatch.setattr(Listening, "finish", lambda _: heard)
    assert recognizer.recognize(path).quadrants == found.quadrants


def test_threads_share_a_recogniser(recognizer: Recognizer, tmp_path: Path) -> None:
    write_audio(np.tile(progression(1.0), 8), SAMPLE_RATE, tmp_path / "long.wav")  # 32 s: several windows
    random = np.random.default_rng(3)
    noise = random.normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    rated = np.array([[0, 0.5, 0.5], [1, 0.5, 0.5], [2, 0.4, 0.5]])
    calls = [
        lambda: recognizer.recognize(tmp_path / "long.wav"),
        lambda: recognizer.recognize(noise, SAMPLE_RATE),
        lambda: recognizer.recognize(progression(1.0), SAMPLE_RATE, ratings=rated),
        lambda: recognizer.recognize(tones([50, 53, 57], 3.0), SAMPLE_RATE),
    ]
    expected = [call().to_dict() for call in calls]
    with ThreadPoolExecutor(4) as pool:
        found = [job.result() for job in [pool.submit(call) for call in calls * 2]]
    for one, result in zip(expected * 2, found, strict=True):
        assert flat(result.to_dict()) == pytest.approx(flat(one), abs=1e-3)


def flat(value: object) -> list[float]:
    """All numbers of a JSON document, in order."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in flat(item)]
    if isinstance(value, list):
        return [number for item in value for number in flat(item)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"n_networks": "3"}, "n_networks is '3'"),
        ({"network": {"n_layers": 10**9}}, "n_layers is 1000000000, legal"),
        ({"network": {"width": 4000}}, "weights and config.json do not fit"),
        ({"network": {"tags": {"gems": 8, "quadrants": 4}}}, "has .'gems'."),
        ({"network": [1]}, "network is .1., legal is an object"),
        ({"teachers": {"gems": 3}}, "weights do not fit"),
        ({"calibration": {"sharpness": "x"}}, "weights do not fit"),
        ({"encoder": 5}, "unknown checkpoint '5'"),
        ({"model_type": "musicnn"}, "muse-recognizer"),
    ],
)
def test_a_damaged_checkpoint_is_refused_at_once(tmp_path: Path, changed: dict[str, object], fault: str) -> None:
    shutil.copytree(find("recognizer"), tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    for name, value in changed.items():
        config[name] = {**config[name], **value} if isinstance(value, dict) and name == "network" else value
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=fault):
        Recognizer.from_pretrained(tmp_path / "model")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    shutil.copytree(find("recognizer"), tmp_path / "model")
    tensors = load_tensors(tmp_path / "model", "np")
    name = next(name for name in tensors if name.startswith("teacher."))
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_tensors(tensors, tmp_path / "model")
    with pytest.raises(InputError, match=rf"model: {name} has values that are no finite numbers"):
        Recognizer.from_pretrained(tmp_path / "model")


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout


def test_sound_on_the_command_line(tmp_path: Path) -> None:
    write_audio(np.tile(progression(1.0), 3), SAMPLE_RATE, tmp_path / "a.wav")
    ratings = tmp_path / "me.csv"
    ratings.write_text("time_s,valence,arousal\n0,0.9,-0.9\n1,0.9,-0.9\n2,0.9,-0.8\n")
    code, plain = run("recognize", tmp_path / "a.wav", "--json", "--dynamic")
    assert code == 0
    code, mine = run("recognize", tmp_path / "a.wav", "--json", "--dynamic", "--ratings", ratings)
    assert code == 0
    assert json.loads(mine)[0]["emotion"]["valence"] > json.loads(plain)[0]["emotion"]["valence"]
    code, result = run("analyze", tmp_path / "a.wav", "--json")
    assert code == 0 and json.loads(result)[0]["key"] == "C"
    code, text = run("analyze", tmp_path / "a.wav")
    assert code == 0 and "valence" in text
    code, result = run("recognize", tmp_path, "--table", tmp_path / "t.jsonl", "--json")
    assert (code, json.loads(result)["new"]) == (0, 1)


def test_the_emotion_of_a_recording_is_an_example(tmp_path: Path) -> None:
    from muse.prompts.example import parse_example

    chords = np.tile(progression(2.0), 2)
    beat = (np.arange(len(chords)) / SAMPLE_RATE * 4) % 1
    drums = np.random.default_rng(0).normal(0, 0.15, len(chords)) * np.exp(-8 * beat)
    write_audio((chords + drums).astype(np.float32), SAMPLE_RATE, tmp_path / "band.wav")
    parsed = parse_example(tmp_path / "band.wav")
    assert parsed.intent.key == "C" and parsed.intent.emotion is not None
    assert any("several voices" in note for note in parsed.notes)


def test_datasets_are_known_by_their_folders(tmp_path: Path) -> None:
    folder = tmp_path / "emotify"
    folder.mkdir()
    with pytest.raises(InputError, match=r"metadata\.csv: no such file"):
        open_dataset(folder)
    head = "track_id,file,artist,album," + ",".join(GEMS)
    (folder / "metadata.csv").write_text(f"{head}\n1,a.ogg,An artist,,{','.join(['0.5'] * 9)}\n")
    (clip,) = open_dataset(folder).clips
    assert (clip.group, clip.tags["sadness"]) == ("An artist", 0.5)
    (folder / "metadata.csv").write_text(f"{head}\n1,a.ogg,An artist,,{','.join(['x'] * 9)}\n")
    with pytest.raises(InputError, match="is no number"):
        open_dataset(folder)
    with pytest.raises(InputError, match="none of the datasets"):
        open_dataset(tmp_path)
