"""Fitting the emotion mapping on corpora made here, and its report."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from muse.emotion import QUADRANTS, Emotion
from muse.errors import InputError
from muse.mapping import EmotionMapper
from muse.score import NOTE_DTYPE, from_notes, write_score
from muse.training.mapping.fit import fit_mapping
from muse.training.mapping.report import page

ROOT = Path(__file__).parents[2]
POINTS = {quadrant: Emotion.parse(quadrant) for quadrant in QUADRANTS}


def _write_corpus(folder: Path, kind: str, rng: np.random.Generator, n: int) -> None:
    """A corpus in which high arousal is dense and loud, and high valence major."""
    home = folder / kind
    (home / "midi").mkdir(parents=True)
    rows = []
    for i in range(n):
        quadrant = i % 4
        point = POINTS[QUADRANTS[quadrant]]
        step = 0.25 if point.arousal > 0 else 1.0
        scale = [0, 2, 4, 5, 7, 9, 11] if point.valence > 0 else [0, 2, 3, 5, 7, 8, 11]
        notes = []
        for beat in np.arange(0, 64, step):
            degree = int(rng.choice([0, 2, 4, 0, 2, 4, *range(7)]))
            velocity = int(60 + 30 * point.arousal + rng.integers(-8, 9))
            notes.append((beat, step * 0.9, beat / 2, step * 0.45, 60 + scale[degree], velocity, 0, 0))
            if beat % 4 == 0:
                chord = (48, 48 + scale[2], 55)
                notes += [(beat, 3.9, beat / 2, 1.95, pitch, velocity - 5, 0, 0) for pitch in chord]
        write_score(from_notes(np.array(notes, dtype=NOTE_DTYPE), tempo_bpm=120), home / "midi" / f"{i}.mid")
        valence, arousal = point.valence / 2, point.arousal / 2
        rows.append(
            {"id": f"{kind}_{i}", "file": f"midi/{i}.mid", "split": "train" if kind == "emopia" else "labelled"}
            | {"quadrant": quadrant + 1, "valence": valence, "arousal": arousal, "song_id": f"song{i}"}
            | {"licence_class": "permissive", "programs": "0"}
        )
    with (home / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """Corpora made here, and the mapping fitted on them."""
    folder = tmp_path_factory.mktemp("mapping")
    rng = np.random.default_rng(0)
    for kind, n in (("emopia", 20), ("vgmidi", 12), ("mutopia", 8)):
        _write_corpus(folder / "corpora", kind, rng, n)
    return folder, fit_mapping(folder / "corpora", folder / "out", n_trees=5)


def test_fitting_writes_tables_report_and_plots(fitted: tuple[Path, dict[str, object]]) -> None:
    folder, report = fitted
    written = {path.name for path in (folder / "out").iterdir()}
    assert written >= {"mapping.json", "mapping.csv", "mapping_report.json", "README.md", "distributions.png"}
    assert json.loads((folder / "out" / "mapping_report.json").read_text()) == json.loads(json.dumps(report))
    assert "CC BY-NC-SA" in (folder / "out" / "README.md").read_text(encoding="utf-8")
    accuracy = report["recognition"]
    assert isinstance(accuracy, dict)
    assert all(row["arousal"] > 0.9 for row in accuracy.values())  # the corpora are made to be told apart


def test_fitting_learns_what_the_corpora_show(fitted: tuple[Path, dict[str, object]]) -> None:
    mapper = EmotionMapper.from_pretrained(fitted[0] / "out")
    assert mapper.target("happy")["Note Density"] > mapper.target("calm")["Note Density"]
    assert mapper.target("calm")["Mode Clarity"] > mapper.target("sad")["Mode Clarity"]
    assert mapper.target("angry")["Mean Dynamics"] > mapper.target("sad")["Mean Dynamics"]


def test_fitting_again_gives_the_same_files(fitted: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    fit_mapping([fitted[0] / "corpora"], tmp_path, n_trees=5, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (40, 40)
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (fitted[0] / "out" / path.name).read_bytes(), path.name


def test_missing_corpora_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs emopia"):
        fit_mapping(tmp_path, tmp_path / "out")


# --------------------------------------------------------------------------------------------------------------- report


def test_the_shipped_report_is_of_the_shipped_table() -> None:
    shipped = EmotionMapper.from_pretrained()
    report = json.loads((ROOT / "attributes" / "mapping_report.json").read_text())
    for quadrant in QUADRANTS:
        asked = {name: row["value"] for name, row in report["targets"][quadrant].items()}
        assert asked == pytest.approx(shipped.target(quadrant).values(), rel=1e-3, abs=1e-4)


def test_the_page_says_when_vgmidi_was_not_given() -> None:
    report = json.loads((ROOT / "attributes" / "mapping_report.json").read_text(encoding="utf-8"))
    assert "on the 157 pieces of VGMIDI" in page(EmotionMapper.from_pretrained(), report)
    assert "\n\nVGMIDI was not given.\n\n" in page(EmotionMapper.from_pretrained(), report | {"vgmidi": {}})


def test_the_documentation_quotes_the_report() -> None:
    report = json.loads((ROOT / "attributes" / "mapping_report.json").read_text())
    documentation = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
    for name, row in report["recognition"].items():
        cells = " | ".join(f"{row[axis]:.3f}" for axis in ("quadrant", "arousal", "valence", "sad_or_calm"))
        assert f"| {name} | {cells} |" in documentation
    assert report["recognition"]["forest, all 28 controls"]["quadrant"] > 0.676  # EmoGen's forest
