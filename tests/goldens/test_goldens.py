"""What Muse makes stays as it is: composed files, `--json` documents, attribute values and reports against stored ones.

``MUSE_WRITE_GOLDENS=1 pytest tests/goldens`` stores what is made now; a commit that changes a golden says why. Sampling
and networks depend on the processor's arithmetic in the last digits, so their goldens are compared on the kind of
processor that they were made on; everything else holds everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import muse
from muse.attributes import extract
from muse.audio import write_audio
from muse.cli import main
from muse.evaluate.reports import evaluation_page
from muse.mapping import EmotionMapper
from muse.score import DRUMS, NOTE_DTYPE, Score, from_notes, write_score
from muse.training.mapping.report import page as mapping_page
from muse.training.recognizer.page import recognizer_page

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
WRITE = bool(os.environ.get("MUSE_WRITE_GOLDENS"))

PIECES: dict[str, dict[str, Any]] = {
    "sad": {"emotion": "sad", "bars": 8},
    "happy": {"emotion": "happy", "bars": 8},
    "angry": {"emotion": "Q2", "bars": 4},
    "calm": {"emotion": "calm", "bars": 4},
    "point": {"emotion": (-0.6, 0.7), "bars": 4, "tempo_bpm": 150, "key": "Em"},
    "arc": {"emotion": "calm>tense>triumphant", "bars": 8},
    "waltz": {"emotion": "tender", "bars": 4, "time_signature": "3/4"},
    "duo": {"emotion": "joyful", "bars": 4, "instruments": "flute,piano"},
    "quartet": {"emotion": "gloomy", "bars": 4, "instruments": "violin,viola,cello"},
    "band": {"emotion": "excited", "bars": 4, "genre": "pop", "instruments": "piano,electric bass,drums"},
    "high": {"bars": 4, "attributes": {"Mean Pitch": 72.0}, "key": "C"},
    "plain": {"bars": 4},
}


def processor() -> str:
    """Kind of processor: its family and model and what it computes with."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    of = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in of.items()}
    flags = sorted(flag for flag in facts.get("flags", "").split() if flag.startswith(("avx", "amx", "fma")))
    return " ".join([facts.get("cpu family", ""), facts.get("model", ""), *flags])


def of_this_processor(name: str) -> None:
    """Skip a test whose stored document was made on another kind of processor."""
    stored = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    if not WRITE and stored["processor"] != processor():
        pytest.skip(f"stored on another kind of processor: {stored['processor']}")


def golden(name: str, made: Any, *, on_this_processor: bool = False, tolerance: float = 0.0) -> None:
    """Compare with the stored document, or store it."""
    path = HERE / f"{name}.json"
    made = json.loads(json.dumps(made, allow_nan=False))
    if WRITE:
        stored = {"processor": processor() if on_this_processor else "any", "made": made}
        path.write_text(
            json.dumps(stored, indent=1 if len(str(made)) < 100_000 else None, ensure_ascii=False, sort_keys=True)
            + "\n",
            encoding="utf-8",
        )
        return
    stored = json.loads(path.read_text(encoding="utf-8"))
    different = list(differences(stored["made"], made, tolerance))
    assert not different, "\n".join(different[:20])


def differences(a: Any, b: Any, tolerance: float, where: str = "") -> Any:
    """Places at which two JSON documents differ, each in a line."""
    if isinstance(a, dict) and isinstance(b, dict):
        for name in sorted({*a, *b}):
            if name not in a or name not in b:
                yield f"{where}/{name}: only in the {'stored' if name in a else 'new'} one"
            else:
                yield from differences(a[name], b[name], tolerance, f"{where}/{name}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            yield from differences(x, y, tolerance, f"{where}[{i}]")
    elif isinstance(a, float) and isinstance(b, (int, float)) and tolerance:
        if not np.isclose(a, b, rtol=tolerance, atol=tolerance):
            yield f"{where}: stored {a}, new {b}"
    elif a != b:
        yield f"{where}: stored {str(a)[:200]}, new {str(b)[:200]}"


def twenty_scores() -> dict[str, Score]:
    """Scores of every texture, meter and ensemble, from one seed."""
    found: dict[str, Score] = {}
    for i in range(20):
        rng = np.random.default_rng(i)
        meter = [(4, 4), (3, 4), (6, 8), (2, 4)][i % 4]
        bar = meter[0] * 4 / meter[1]
        tempo = 60 + 7 * i
        programs = [(0,), (40, 42), (73, 0), (0, 33, DRUMS), (56, 48, 45, 32)][i % 5]
        rows = []
        for track, program in enumerate(programs):
            onset = 0.0
            while onset < 12 * bar:
                length = float(rng.choice([0.25, 0.5, 1.0, 1.5, 2.0]))
                pitches = rng.choice(
                    np.array([0, 2, 3 if i % 2 else 4, 5, 7, 8 if i % 2 else 9, 11]), rng.integers(1, 4), replace=False
                )
                for pitch in pitches:
                    beat_sec = 60 / tempo
                    velocity = int(rng.integers(30, 120))
                    height = 36 + int(rng.integers(0, 12)) if program == DRUMS else 48 + int(pitch) + 12 * (track % 2)
                    rows.append((onset, length, onset * beat_sec, length * beat_sec, height, velocity, program, track))
                onset += length if rng.random() < 0.9 else 2 * length
        notes = np.array(rows, dtype=NOTE_DTYPE)
        found[f"{i:02d}"] = from_notes(notes, tempo_bpm=tempo, time_signature=meter)
    return found


def digits(value: float) -> float | None:
    return float(f"{value:.7g}") if np.isfinite(value) else None


def test_attribute_values() -> None:
    made: dict[str, Any] = {"mean over windows": {}}
    for name, score in twenty_scores().items():
        found = extract(score)
        made["names"] = list(found.names)
        known = np.isfinite(found.values)
        mean = np.where(known, found.values, 0.0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
        made["mean over windows"][name] = [digits(value) for value in mean]
    golden("attributes", made, tolerance=1e-5)


def test_composed_files(tmp_path: Path) -> None:
    of_this_processor("pieces")
    made = {}
    for name, request in PIECES.items():
        piece = muse.compose(seed=7, n_candidates=2, **request)
        piece.save(tmp_path / f"{name}.mid")
        made[name] = hashlib.sha256((tmp_path / f"{name}.mid").read_bytes()).hexdigest()
    golden("pieces", made, on_this_processor=True)


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    """The document that a command prints, without what differs from run to run or from machine to machine."""
    with pytest.raises(SystemExit):
        main([*map(str, arguments), "--json"])
    return without(json.loads(capsys.readouterr().out))


def without(value: Any) -> Any:
    """The document without times, versions, hashes of code, places and platform."""
    varying = {
        "timing",
        "versions",
        "platform",
        "python",
        "packages",
        "device",
        "threads",
        "data",
        "duration_ms",
        "seconds",
    }
    if isinstance(value, dict):
        return {
            name: without(one) for name, one in value.items() if name not in varying and not name.endswith("_s_total")
        }
    if isinstance(value, list):
        return [without(one) for one in value]
    if isinstance(value, str) and os.sep in value:
        return Path(value).name
    return value


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, score in list(twenty_scores().items())[:4]:
        write_score(score, folder / f"{name}.mid")
    rate = 22050
    time_sec = np.arange(8 * rate) / rate
    chord = sum(np.sin(2 * np.pi * f * time_sec) / 6 for f in (220.0, 277.2, 329.6, 440.0))
    beating = chord * (0.6 + 0.4 * np.sign(np.sin(2 * np.pi * 2 * time_sec)))
    write_audio(beating.astype(np.float32), rate, folder / "chord.wav")
    (folder / "songs").mkdir()
    for name, score in twenty_scores().items():
        write_score(score, folder / "songs" / f"{name}.mid")
    return folder


def test_document_of_compose(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_this_processor("compose")
    made = run(capsys, "compose", "--emotion", "sad", "--bars", 4, "--seed", 3, "-o", tmp_path / "x.mid")
    golden("compose", made, on_this_processor=True, tolerance=1e-5)


def test_document_of_intent(capsys: pytest.CaptureFixture[str]) -> None:
    of_this_processor("intent")
    texts = ["a bittersweet farewell in the rain, slow strings, 3/4", "angry metal riff in E minor at 160 bpm"]
    made = {text: run(capsys, "intent", "--text", text) for text in texts}
    made["tags"] = run(capsys, "intent", "--tags", "sad:0.7, epic, piano")
    golden("intent", made, on_this_processor=True, tolerance=1e-4)


def test_document_of_analyze(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_this_processor("analyze")
    made = run(capsys, "analyze", *sorted(files.glob("0*.mid")))
    golden("analyze", made, on_this_processor=True, tolerance=1e-4)


def test_document_of_recognize(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    of_this_processor("recognize")
    golden("recognize", run(capsys, "recognize", files / "chord.wav"), on_this_processor=True, tolerance=1e-3)


def test_documents_of_corpus(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    built = run(capsys, "corpus", "build", files / "songs", "-o", tmp_path / "dataset")
    made = {"build": built, "info": run(capsys, "corpus", "info", tmp_path / "dataset")}
    for document in made.values():
        for name in ("code", "digest", "shards"):  # they follow from the text of the source files
            assert document.pop(name)
    golden("corpus", made, tolerance=1e-6)


def test_document_of_info(capsys: pytest.CaptureFixture[str]) -> None:
    golden("info", run(capsys, "info"))


def test_the_evaluation_page_follows_from_its_figures() -> None:
    document = json.loads((ROOT / "docs" / "evaluation.json").read_text(encoding="utf-8"))
    assert evaluation_page(document) == (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")


def test_the_page_of_the_mapping_follows_from_its_figures() -> None:
    report = json.loads((ROOT / "attributes" / "mapping_report.json").read_text(encoding="utf-8"))
    page = mapping_page(EmotionMapper.from_pretrained(), report)
    assert page == (ROOT / "attributes" / "README.md").read_text(encoding="utf-8")


def test_the_table_of_the_recognizer_follows_from_its_figures() -> None:
    report = json.loads((ROOT / "docs" / "recognizer-report.json").read_text(encoding="utf-8"))
    golden("recognizer-report", {"page": recognizer_page(report).splitlines()})
