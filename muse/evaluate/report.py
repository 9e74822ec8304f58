"""Writing reports: a document of figures as Markdown, JSON and charts.

What is drawn and told comes from the document alone, so a report can be written again from its JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["write_report"]

QUADRANTS = ("Q1", "Q2", "Q3", "Q4")
MOODS = ("Q1 happy", "Q2 angry", "Q3 sad", "Q4 calm")


def write_report(document: dict[str, Any], out: str | Path) -> None:
    """Write ``emotion-control.json``, ``emotion-control.md`` and charts in ``emotion-control/``.

    Parameters
    ----------
    document
        As :func:`muse.evaluate.emotion_control_report` gives it.
    out
        Folder, made if absent.
    """
    out = Path(out)
    folder = out / "emotion-control"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "emotion-control.json").write_text(text + "\n", encoding="utf-8")
    (out / "emotion-control.md").write_text(_markdown(document), encoding="utf-8")
    _charts(document, folder)


def _charts(document: dict[str, Any], folder: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def save(figure: Figure, name: str) -> None:
        FigureCanvasAgg(figure)
        figure.savefig(folder / name, dpi=100, metadata={"Software": None})

    figure = Figure(figsize=(8.6, 3.8), layout="constrained")
    tables = (
        ("generated: asked for", document["quadrants"]["primary"]["confusion"]),
        ("human validation clips: labelled", document["judges"]["primary"]["validation"]["confusion"]),
    )
    for axes, (title, table) in zip(figure.subplots(1, 2), tables, strict=True):
        share = np.array(table) / np.maximum(np.sum(table, axis=1, keepdims=True), 1)
        axes.imshow(share, vmin=0, vmax=1, cmap="Blues")
        for (i, j), value in np.ndenumerate(np.array(table)):
            axes.text(j, i, str(value), ha="center", va="center", color="white" if share[i, j] > 0.5 else "black")
        axes.set_xticks(range(4), MOODS, fontsize=8)
        axes.set_yticks(range(4), MOODS, fontsize=8)
        axes.set_xlabel("judged")
        axes.set_title(title, fontsize=10)
    save(figure, "confusion.png")

    figure = Figure(figsize=(8.6, 4.2), layout="constrained")
    clips, pieces = document["human_clips"], document["pieces"]
    sets = (
        ("generated", [p["judged"] for p in pieces], [1 + QUADRANTS.index(p["asked"]) for p in pieces]),
        ("human validation clips", clips["judged"], clips["quadrant"]),
    )
    for axes, (title, points, labels) in zip(figure.subplots(1, 2, sharex=True, sharey=True), sets, strict=True):
        va, y = np.array(points), np.array(labels)
        for q, mood in enumerate(MOODS, 1):
            axes.scatter(va[y == q, 0], va[y == q, 1], s=18, alpha=0.75, label=mood)
        axes.axhline(0, color="gray", lw=0.6)
        axes.axvline(0, color="gray", lw=0.6)
        axes.set(xlim=(-1, 1), ylim=(-1, 1), xlabel="judged valence", ylabel="judged arousal")
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=7, loc="lower left")
    save(figure, "plane.png")

    if "grid" in document:
        asked = np.array(document["grid"]["asked"])
        va = np.array(document["grid"]["primary"]["judged"])
        side = len(np.unique(asked[:, 0]))
        edge = asked.max() * side / (side - 1)  # of the outer cells
        figure = Figure(figsize=(8.6, 3.9), layout="constrained")
        for k, axes in enumerate(figure.subplots(1, 2)):
            image = axes.imshow(
                va[:, k].reshape(side, side).T, origin="lower", cmap="RdBu_r", vmin=-1, vmax=1,
                extent=(-edge, edge, -edge, edge),
            )  # fmt: skip
            axes.set(xlabel="asked valence", ylabel="asked arousal")
            axes.set_title(f"judged {('valence', 'arousal')[k]}", fontsize=10)
            figure.colorbar(image, ax=axes, shrink=0.8)
        save(figure, "grid.png")

    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    rows = [document["variety"][q]["distinct_4grams"] for q in QUADRANTS]
    place = np.arange(4)
    axes.bar(place - 0.2, [r["generated"] for r in rows], 0.4, label="generated")
    human = np.array([r["human"] for r in rows])
    error = np.abs(np.array([r["human_range"] for r in rows]).T - human)
    axes.bar(place + 0.2, human, 0.4, yerr=error, capsize=3, label="human clips")
    axes.set_xticks(place, MOODS)
    axes.set_ylabel("distinct 4-grams / all")
    axes.legend(fontsize=8)
    save(figure, "variety.png")


def _markdown(d: dict[str, Any]) -> str:
    s, q, human = d["settings"], d["quadrants"], d["judges"]
    bound = human["primary"]["validation"]
    versions = ", ".join(f"{name} {version}" for name, version in s["versions"].items())
    lines = [
        "# Emotion control",
        "",
        "Written by `muse evaluate --composer --corpora CORPORA -o docs`. All figures: "
        "[emotion-control.json](emotion-control.json).",
        "",
        f"{s['n_pieces']} pieces of {s['bars']} bars per quadrant, default settings, seeds 0 to "
        f"{s['n_pieces'] - 1}, {versions}. Brackets hold 95 % bootstrap intervals: over pieces within a "
        "quadrant, over songs for human clips.",
        "",
        "## Goals",
        "",
        *_table(
            ["goal", "needed", "measured", "met"],
            [
                [g["goal"], f"{g['needed']:.2f}", _plain(g["value"], 3), "yes" if g["met"] else "**no**"]
                for g in d["goals"]
            ],
        ),
        "",
        "## Quadrants",
        "",
        "Two judges heard the pieces. Both were fitted on EMOPIA's training clips alone, with features of their own "
        "(none of the attributes that steer the composer), and before any piece was composed. The feature judge "
        "decides; the phrase judge, which is deaf to loudness and to averages, stands beside it so that a result is "
        "not one judge's quirk. The last column is the ceiling to read the others against: how often the deciding "
        "judge is right about EMOPIA's validation clips, human music of songs that it has never heard.",
        "",
        *_table(
            ["share of pieces", "feature judge", "phrase judge", "feature judge on human clips"],
            [
                [text, *(_share(card, name) for card in (q["primary"], q["second"], bound))]
                for text, name in (
                    ("in the quadrant asked for", "accuracy"),
                    ("on the right side of valence", "valence"),
                    ("on the right side of arousal", "arousal"),
                    ("sad against calm (Q3, Q4): right one the likelier", "sad_calm"),
                    ("happy against angry (Q1, Q2): right one the likelier", "happy_angry"),
                )
            ],
        ),
        "",
        *_table(
            ["asked for", "feature judge", "phrase judge", "feature judge on human clips"],
            [
                [mood, *(_plain(card["per_quadrant"][name]) for card in (q["primary"], q["second"], bound))]
                for mood, name in zip(MOODS, QUADRANTS, strict=True)
            ],
        ),
        "",
        f"Without ranking, over all {d['unranked']['primary']['n']} candidates, "
        f"{_plain(d['unranked']['primary']['accuracy'], 3)} are in the quadrant asked for (phrase judge "
        f"{_plain(d['unranked']['second']['accuracy'], 3)}).",
        "",
        "![Counts of judged quadrants, generated and human](emotion-control/confusion.png)",
        "",
        "![Judged valence and arousal of each piece and each human clip](emotion-control/plane.png)",
        "",
    ]
    if "grid" in d:
        g = d["grid"]
        lines += [
            "## Valence and arousal",
            "",
            f"One piece at each of {len(g['asked'])} points from -{s['grid_edge']} to {s['grid_edge']}. Judged valence "
            "is p(Q1) + p(Q4) - p(Q2) - p(Q3), judged arousal p(Q1) + p(Q2) - p(Q3) - p(Q4). The last column is how "
            "much the judged axis follows the other axis that was asked for; 0 is best.",
            "",
            *_table(
                ["judge", "axis", "Spearman of asked and judged", "with the other axis asked"],
                [
                    [
                        judge,
                        axis,
                        f"{_plain(g[key][axis]['rho'])} {_interval(g[key][axis]['interval'])}",
                        _plain(g[key][axis]["leak"]),
                    ]
                    for judge, key in (("feature", "primary"), ("phrase", "second"))
                    for axis in ("valence", "arousal")
                ],
            ),
            "",
            "![Judged valence and arousal over the grid asked for](emotion-control/grid.png)",
            "",
        ]
    lines += [
        "## Variety within a quadrant",
        "",
        "Pieces that are recognised more often than people's own are more typical than people's own. A 4-gram is four "
        f"successive pairs of pitch interval and class of time between attacks, over the first {s['n_attacks']} "
        "attacks of each piece. *Shared* is the share of a piece's 4-grams that its nearest fellow has too. The human "
        "figures are means over draws of as many clips, each of another song, with the 95 % range of the draws. "
        "*Spread* is the standard deviation of features within the quadrant over that of human clips, mean of "
        f"{len(d['cues'])} features; 1 is as varied as people.",
        "",
        *_table(
            ["quadrant", "distinct 4-grams", "human", "shared 4-grams", "human", "spread"],
            [
                [
                    mood,
                    _plain(row["distinct_4grams"]["generated"], 3),
                    f"{_plain(row['distinct_4grams']['human'], 3)} {_interval(row['distinct_4grams']['human_range'])}",
                    _plain(row["shared_4grams"]["generated"], 3),
                    f"{_plain(row['shared_4grams']['human'], 3)} {_interval(row['shared_4grams']['human_range'])}",
                    _plain(row["spread_ratio"]),
                ]
                for mood, row in zip(MOODS, d["variety"].values(), strict=True)
            ],
        ),
        "",
        "![Distinct 4-grams, generated and human](emotion-control/variety.png)",
        "",
        "## What the quadrants sound like",
        "",
        "Means per quadrant of features with a plain meaning: human clips (EMOPIA) and, after the arrow, the pieces.",
        "",
        *_table(
            ["feature", *MOODS],
            [
                [
                    row["meaning"],
                    *(f"{_plain(h)} → {_plain(g)}" for h, g in zip(row["human"], row["generated"], strict=True)),
                ]
                for row in d["cues"]
            ],
        ),
        "",
        "## The judges",
        "",
        *_table(
            [
                "judge",
                "clips",
                "n",
                "4 quadrants",
                "valence",
                "arousal",
                "sad/calm",
                "happy/angry",
                "ranks with ratings",
            ],
            [
                [
                    human[key]["name"].split(" (")[0],
                    text,
                    str(card["n"]),
                    *(_share(card, name) for name in ("accuracy", "valence", "arousal", "sad_calm", "happy_angry")),
                    ""
                    if card["rank_valence"] is None
                    else f"v {card['rank_valence']:.2f}, a {card['rank_arousal']:.2f}",
                ]
                for key in ("primary", "second")
                for text, card in (
                    ("EMOPIA training, cross-validated by song", human[key]["cross_validation"]),
                    ("EMOPIA validation", human[key]["validation"]),
                    ("VGMIDI, another corpus", human[key]["other_corpus"]),
                )
                if card
            ],
        ),
        "",
        f"- Deciding: {human['primary']['name']}.",
        f"- Beside it: {human['second']['name']}.",
        "- Training clips are heard as they are and in variants with another loudness level and range, exactness of "
        "timing, note length, transposition and cut: without that a judge takes EMOPIA's recording conditions for "
        "emotion. VGMIDI (game music arranged for piano, on a grid, rated by about 30 listeners a piece) checks what "
        "is left of that; its ratings served to choose how strongly clips are varied and to hear half of valence from "
        "harmony alone, which cost 0.03 of cross-validated accuracy; so its figures are a little optimistic.",
        "- Published accuracy for the four quadrants of EMOPIA, other split: 0.68 (LSTM with attention), 0.68 "
        "(MidiBERT-Piano), 0.75 (MoFi).",
        "",
        "## Controls",
        "",
        "Rank correlation of the value asked for with the value measured, over all candidates of all pieces above, "
        "before ranking.",
        "",
        *_correlations(d["controls"]),
        "",
    ]
    if "controls_alone" in d:
        lines += [
            "One control asked for by itself, everything else open: five values, from the first to the last octile of "
            "the corpus, four candidates each.",
            "",
            *_correlations(d["controls_alone"]),
            "",
        ]
    if "generations" in d:
        g = d["generations"]
        faults = ", ".join(f"{name}: {n}" for name, n in g["faults"].items()) or "none"
        lines += [
            "## What was ordered",
            "",
            f"{g['n']} further pieces, one candidate each, over emotions, lengths, meters, instruments and keys; "
            "written, read back and compared with the request: exactly the bars and meter asked for, only the "
            "instruments asked for, no note beyond the end, no silence of a bar in more than one bar in ten.",
            "",
            f"- without fault: {g['n_faultless']} of {g['n']}; faults: {faults}",
            f"- same seed, same file byte for byte: {g['n_same_file']} of {g['n_repeated']}",
            "",
        ]
    return "\n".join(lines)


def _correlations(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A table of rank correlations with their intervals."""
    cells = [
        [
            row["name"],
            str(row["n"]),
            "" if row["rho"] is None else f"{row['rho']:.2f} {_interval([row['low'], row['high']])}",
        ]
        for row in rows
    ]
    return _table(["control", "pieces", "Spearman"], cells)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def _share(card: dict[str, Any], name: str) -> str:
    return f"{_plain(card[name], 3)} {_interval(card['interval'][name])}"


def _interval(bounds: Sequence[float | None]) -> str:
    return f"[{', '.join(_plain(b) for b in bounds)}]"


def _plain(value: float | None, digits: int = 2) -> str:
    """Few digits; a question mark for what is not defined."""
    return "?" if value is None else f"{value:.{digits if abs(value) < 10 else 0}f}"
