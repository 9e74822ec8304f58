"""From prompt to music: forty prompts of every kind, and whether judges find the quadrant that each is of.

``python benchmarks/prompts_judged.py PROMPTS CORPORA`` prints JSON. Ten prompts a quadrant: four sentences and two rows
of tags (written for this), two pictures of OASIS that people rated deepest in the quadrant, one video of four such,
and one piece of EMOPIA's validation split, labelled by people, as an example. A hummed tune has no quadrant of its own;
it goes with one of the sentences, in
major where that is glad. Judges are those of the evaluation, which took no part in choosing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from prompts_humming import melodies, sing
from prompts_pictures import make_video

from muse.audio import write_audio
from muse.composer import Composer
from muse.corpora.table import read_rows
from muse.errors import MuseError
from muse.evaluate.judges import fit_judges, read_emopia
from muse.prompts import parse_prompts
from muse.prompts.humming.transcribe import SAMPLE_RATE
from muse.score import NOTE_DTYPE, read_score, write_score
from muse.statistics import bootstrap
from muse.theory import estimate_key

SENTENCES = (
    (
        "children racing through a summer fair, bright and bouncing",
        "we won! fireworks over the harbour, everybody dances",
        "an exciting victory march for a sports show",
        "a cheerful walk in the sun with a playful dog",
    ),
    (
        "a furious chase through dark alleys, something is right behind us",
        "war drums, panic in the burning city",
        "an aggressive boss fight against a raging monster",
        "he is terrified and screams as the ship breaks apart",
    ),
    (
        "a lonely widow looks at old photographs in the rain",
        "grey November, everything feels empty and hopeless",
        "a funeral, slow and full of sorrow",
        "she misses him and cries herself to sleep",
    ),
    (
        "a quiet lake at dawn, peaceful and warm",
        "a tender lullaby for a sleeping baby",
        "relaxing music for meditation in a garden",
        "two old friends sit contentedly by the fire",
    ),
)
TAGS = (
    ("happy, energetic", "🎉 😄"), ("angry, tense, action", "😡 😱"), ("sad:0.9, melancholic", "😢 💔"),
    ("calm, relaxing", "😌 🌙"),
)  # fmt: skip


def prompts_of(quadrant: int, prompts: Path, corpora: Path, folder: Path) -> list[dict[str, str]]:
    """Ten prompts of one quadrant 0..3."""
    rows = [row for row in read_rows(prompts / "oasis" / "ratings.csv") if row["thumb"]]
    ratings = np.array([[float(row["valence_mean"]), float(row["arousal_mean"])] for row in rows])
    z = (ratings - ratings.mean(0)) / ratings.std(0)
    side = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)][quadrant])
    deepest = np.argsort(-(z * side).min(axis=1))[:6]
    pictures = [prompts / "oasis" / "thumbs" / rows[i]["thumb"] for i in deepest]
    make_video(folder / f"{quadrant}.mp4", pictures[2:], [4.0] * 4, seed=quadrant)
    clips = read_emopia(corpora, "val")
    example = np.flatnonzero(clips.quadrant == quadrant + 1)[0]
    write_score(read_score(clips.source[example]), folder / f"{quadrant}.mid")
    # Who asks for glad music hums a tune in major: a tune brings its key along.
    wanted = "major" if quadrant in (0, 3) else "minor"
    beat, length, pitch = next(one for one in melodies(200, 1) if mode_of(one[2], one[1]) == wanted)
    write_audio(
        sing(beat, length, pitch, np.random.default_rng(quadrant)).samples, SAMPLE_RATE, folder / f"{quadrant}.wav"
    )
    found = [{"text": text} for text in SENTENCES[quadrant]]
    found[-1]["hum"] = str(folder / f"{quadrant}.wav")
    found += [{"tags": tags} for tags in TAGS[quadrant]]
    found += [{"image": str(picture)} for picture in pictures[:2]]
    return [*found, {"video": str(folder / f"{quadrant}.mp4")}, {"like": str(folder / f"{quadrant}.mid")}]


def mode_of(pitch: np.ndarray, length: np.ndarray) -> str | None:
    """Mode of a tune by its notes."""
    notes = np.zeros(len(pitch), NOTE_DTYPE)
    notes["pitch"], notes["duration_beat"] = pitch, length
    key = estimate_key(notes)
    return None if key is None else key.mode


def measure(prompts: Path, corpora: Path) -> dict[str, Any]:
    """All figures."""
    composer = Composer.from_pretrained()
    judges = fit_judges(corpora, composer.selector)
    pieces, wanted, kinds, understood, rows = [], [], [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        for quadrant in range(4):
            for k, given in enumerate(prompts_of(quadrant, prompts, corpora, Path(temporary))):
                parsed = parse_prompts(**given)
                assert parsed is not None and parsed.intent.emotion is not None
                fields = {} if "video" in given else {"bars": 16}
                piece = composer.compose(parsed.corrected(**fields).intent, n_candidates=8, seed=10 * quadrant + k)
                pieces.append(piece.best.score)
                wanted.append(quadrant)
                kinds.append("+".join(given))
                understood.append(int(parsed.intent.emotion.mean.quadrant[1]) - 1)
                rows.append({kind: Path(one).name for kind, one in given.items()})
    asked = np.array(wanted)
    document: dict[str, Any] = {
        "prompts": len(asked), "understood": round(float((np.array(understood) == asked).mean()), 3), "judges": {},
    }  # fmt: skip
    for name, judge in judges.items():
        judged = judge.predict_proba(pieces).argmax(1)
        right = (judged == asked).astype(float)
        document["judges"][name] = {
            "share": round(float(right.mean()), 3),
            "interval": [round(x, 3) for x in bootstrap(right, np.mean)],
            "by_kind": {
                kind: f"{int(right[np.array(kinds) == kind].sum())} of {kinds.count(kind)}"
                for kind in dict.fromkeys(kinds)
            },
        }
        for row, one in zip(rows, judged.tolist(), strict=True):
            row[name] = f"Q{one + 1}"
    document["rows"] = [
        {"of": f"Q{a + 1}", "understood": f"Q{u + 1}", **row}
        for a, u, row in zip(wanted, understood, rows, strict=True)
    ]
    return document


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("corpora", type=Path)
    arguments = parser.parse_args()
    try:
        document = measure(arguments.prompts, arguments.corpora)
    except MuseError as error:
        parser.error(str(error))
    print(json.dumps(document, indent=1, ensure_ascii=False))
