"""Writing reports: a document of figures as Markdown, HTML, JSON and charts.

What is drawn and told comes from the document alone, so a report can be written again from its JSON file. The HTML page
is the Markdown page with the charts inside it: one file that can be sent to anyone.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from muse.emotion import QUADRANTS
from muse.evaluate.metrics.music import METRICS
from muse.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_report"]

NAME = "evaluation"
"""Of the files: ``evaluation.html`` and so on."""
MOODS = ("Q1 happy", "Q2 angry", "Q3 sad", "Q4 calm")
SYSTEMS = {
    "human": "people (held out)",
    "muse": "Muse",
    "one": "Muse, 1 candidate",
    "best": "Muse, best of {best_of}",
    "free": "no control",
    "emogen": "EmoGen's mapping",
    "ngram": "5-gram",
    "folder": "the folder",
}
JUDGES = {"primary": "feature judge", "second": "phrase judge", "selector": "selector"}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }}
table {{ border-collapse: collapse; font-size: .85rem; display: block; overflow-x: auto; margin: 1rem 0; }}
th, td {{ border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; font-variant-numeric: tabular-nums; }}
th {{ background: #f5f5f8; }} img {{ max-width: 100%; }} code {{ background: #f2f2f5; padding: 0 .2rem; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #16161c; color: #ddd; }} th {{ background: #24242c; }}
td, th {{ border-color: #333; }} code {{ background: #24242c; }} a {{ color: #8ab4f8; }} img {{ background: #fff; }} }}
</style></head><body>
{body}
</body></html>
"""


def write_report(document: dict[str, Any], out: str | Path) -> None:
    """Write ``evaluation.html``, ``.md`` and ``.json``, and charts in ``evaluation/``.

    Parameters
    ----------
    document
        As :func:`muse.evaluate.evaluate_composer` or :func:`muse.evaluate.evaluate_folder` gives it.
    out
        Folder, made if absent.
    """
    out = Path(out)
    folder = out / NAME
    folder.mkdir(parents=True, exist_ok=True)
    _charts(document, folder)
    text = "\n".join(_composer(document) if document["kind"] == "composer" else _folder(document)).rstrip() + "\n"
    write_bytes(out / f"{NAME}.md", text.encode())
    write_bytes(out / f"{NAME}.html", _html(text, out).encode())
    figures = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(out / f"{NAME}.json", figures.encode() + b"\n")


def _html(text: str, out: Path) -> str:
    from markdown import markdown

    def inside(match: re.Match[str]) -> str:
        data = base64.b64encode((out / match[1]).read_bytes()).decode()
        return f'src="data:image/png;base64,{data}"'

    body = re.sub(r'src="([^":]+\.png)"', inside, markdown(text, extensions=["tables", "sane_lists"]))
    return _PAGE.format(title=text.partition("\n")[0].lstrip("# "), body=body)


def _charts(document: dict[str, Any], folder: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def save(figure: Figure, name: str) -> None:
        FigureCanvasAgg(figure)
        figure.savefig(folder / name, dpi=100, metadata={"Software": None})

    _system_charts(document, save)
    if document["kind"] != "composer":
        return
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


def _system_charts(d: dict[str, Any], save: Callable[[Figure, str], None]) -> None:
    """Two charts for all systems: how many pieces are inside people's range, and the longest copied runs."""
    from matplotlib.figure import Figure

    systems = d["systems"]
    titles = [_title(name, d) for name in systems]
    figure = Figure(figsize=(8.6, 0.34 * len(METRICS) + 1.6), layout="constrained")
    axes = figure.subplots()
    inside = np.array([[row["metrics"][m]["inside"] for row in systems.values()] for m in METRICS], dtype=float)
    image = axes.imshow(inside, vmin=0, vmax=1, cmap="RdYlGn", aspect="auto")
    for (i, j), value in np.ndenumerate(inside):
        axes.text(j, i, "" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=7)
    axes.set_xticks(range(len(titles)), titles, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(METRICS)), [metric.meaning for metric in METRICS.values()], fontsize=8)
    axes.set_title("share of pieces inside people's 5-95 % range", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.6)
    save(figure, "ranges.png")

    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    place = np.arange(len(titles))
    rows = [row["originality"]["voices"]["notes"] for row in systems.values()]
    median = np.array([row["median"] for row in rows], dtype=float)
    error = np.nan_to_num(np.abs(np.array([row["interval"] for row in rows], dtype=float).T - median))
    left.barh(place, median, xerr=error, capsize=3)
    left.set_yticks(place, titles, fontsize=8)
    left.invert_yaxis()
    left.set_title("longest run that stands in the corpus (notes)", fontsize=10)
    space = "features"
    distance = np.array([row["frechet"][space]["distance"] for row in systems.values()], dtype=float)
    interval = np.array([row["frechet"][space]["interval"] for row in systems.values()], dtype=float).T
    reach = np.nan_to_num(np.clip([distance - interval[0], interval[1] - distance], 0, None))
    right.barh(place, distance, xerr=reach, capsize=3)
    right.set_yticks(place, [])
    right.invert_yaxis()
    right.set_title("Fréchet distance to people (judge's features)", fontsize=10)
    save(figure, "systems.png")


def _title(name: str, d: dict[str, Any]) -> str:
    return SYSTEMS[name].format(**d["settings"])


def _beside(d: dict[str, Any]) -> list[str]:
    """The sections on all systems."""
    systems = d["systems"]
    head = ["", *(_title(name, d) for name in systems)]

    def row(text: str, cell: Callable[[dict[str, Any]], str]) -> list[str]:
        return [text, *(cell(system) for system in systems.values())]

    def emotion(judge: str, share: str) -> Callable[[dict[str, Any]], str]:
        return lambda x: _share(x["emotion"][judge], share) if x["emotion"] and judge in x["emotion"] else ""

    def distance(space: str, figure: str) -> Callable[[dict[str, Any]], str]:
        bounds = "interval" if figure == "distance" else f"{figure}_interval"
        return lambda x: f"{_plain(x['frechet'][space][figure])} {_interval(x['frechet'][space][bounds])}"

    def copied(line: str) -> Callable[[dict[str, Any]], str]:
        def cell(x: dict[str, Any]) -> str:
            notes = x["originality"][line]["notes"]
            return f"{_plain(notes['median'], 0)} {_interval(notes['interval'], 0)}"

        return cell

    def overlap(feature: str) -> Callable[[dict[str, Any]], str]:
        return lambda x: f"{_plain(x['sets'][feature]['overlapping_area'])} (KL {_plain(x['sets'][feature]['kl'])})"

    judges = [name for name in JUDGES if name in d["judges"]]
    spaces = [space for space in ("features", "selector") if space in systems["human"]["frechet"]]
    names = {"features": "feature judge's features", "selector": "selector's embedding"}
    lines = [
        "## All systems",
        "",
        "The same requests for every system; *people* are held-out windows of piano music, and "
        f"{d['settings']['n_reference']} further windows of other songs are the reference. No figure of this table was "
        "used to choose a piece, except the selector's own.",
        "",
        *_table(
            head,
            [
                row("pieces", lambda x: str(x["n"])),
                *(row(f"in the quadrant asked for, {JUDGES[judge]}", emotion(judge, "accuracy")) for judge in judges),
                *(row(f"right side of valence, {JUDGES[judge]}", emotion(judge, "valence")) for judge in judges[:1]),
                *(row(f"right side of arousal, {JUDGES[judge]}", emotion(judge, "arousal")) for judge in judges[:1]),
                *(row(f"Fréchet distance, {names[space]}", distance(space, "distance")) for space in spaces),
                *(
                    row(f"the same, extrapolated to endless sets, {names[space]}", distance(space, "extrapolated"))
                    for space in spaces
                ),
                row("overlapping area, mean of 9 features", lambda x: _plain(_mean_set(x, "overlapping_area"))),
                row("KL divergence, mean of 9 features (nats)", lambda x: _plain(_mean_set(x, "kl"))),
                row("longest run of a voice that stands in the training corpus (notes), median", copied("voices")),
                row("the longest of all", lambda x: _plain(x["originality"]["voices"]["notes"]["max"])),
                row("longest run of a top line that stands there (notes), median", copied("top")),
                row("share of 7-note runs that stand there", lambda x: _plain(_runs(x)["value"], 3)),
                row("distinct 4-grams within a prompt", lambda x: _plain(x["diversity"]["distinct_4grams"], 3)),
                row("4-grams shared with the nearest fellow", lambda x: _plain(x["diversity"]["shared_4grams"], 3)),
                *(
                    [row("selector's quality, mean", lambda x: _plain(x["quality"]["mean"]))]
                    if "quality" in systems["human"]
                    else []
                ),
                row("pieces with a fault", lambda x: _plain(x["failure_rate"]) if "failure_rate" in x else ""),
                row(
                    "seconds a piece, all in",
                    lambda x: _plain(x["seconds_per_piece"]) if "seconds_per_piece" in x else "",
                ),
            ],
        ),
        "",
        "![Longest copied runs and Fréchet distances of all systems](evaluation/systems.png)",
        "",
        "- Fréchet distances of small sets are biased upwards: compare sets of one size by their intervals, or read "
        "the extrapolated figure. The feature judge's space took no part in choosing pieces, the selector's did.",
        "- A run is of one voice, whatever the key and with its rhythm; people's own figure is the yardstick, since "
        "scales and repeated notes are everybody's.",
        "",
        "## Metrics of music",
        "",
        "Mean, and in brackets the share of pieces inside the 5-95 % range of the reference. Entropy, groove and the "
        "like have no better direction: 0.90 inside is what people would have. Groove is at 16 positions a bar; on "
        "finer grids it saturates (independent random onsets give 0.77 at 4 steps a beat and 0.998 at 480), so onset "
        "F1 stands beside it. Empty bars are counted without muspy's surplus bar. Definitions and sources: "
        "`muse/evaluate/music.py`.",
        "",
        *_table(
            ["", *head[1:], "people's range"],
            [
                [
                    metric.meaning,
                    *(
                        f"{_plain(x['metrics'][name]['mean'])} [{_plain(x['metrics'][name]['inside'])}]"
                        for x in systems.values()
                    ),
                    "–".join(_plain(bound) for bound in d["ranges"][name]),
                ]
                for name, metric in METRICS.items()
            ],
        ),
        "",
        "![Share of pieces inside people's range, by metric and system](evaluation/ranges.png)",
        "",
        "Overlapping area of distances within a set and distances to the reference (Yang & Lerch 2020), by feature; 1 "
        "is a set that differs from people no more than from itself.",
        "",
        *_table(
            head,
            [row(feature.replace("_", " "), overlap(feature)) for feature in systems["human"]["sets"]],
        ),
        "",
    ]
    if "best_of" in d:
        gain = d["best_of"]
        lines += [
            f"## Best of {d['settings']['best_of']} against one candidate",
            "",
            "Told by judges and features that took no part in choosing; the same seeds.",
            "",
            *_table(
                ["", "one", "best", "gain"],
                [
                    *(
                        [
                            f"in the quadrant asked for, {JUDGES[judge]}",
                            _plain(x["one"], 3),
                            _plain(x["best"], 3),
                            f"{_plain(x['best'] - x['one'], 3)} {_interval(x['gain_interval'])}",
                        ]
                        for judge, x in gain["accuracy"].items()
                    ),
                    [
                        "Fréchet distance to held-out human music",
                        *(
                            f"{_plain(gain['frechet'][name]['distance'])} "
                            f"{_interval(gain['frechet'][name]['interval'])}"
                            for name in ("one", "best")
                        ),
                        _plain(gain["frechet"]["best"]["distance"] - gain["frechet"]["one"]["distance"]),
                    ],
                ],
            ),
            "",
        ]
    return lines


def _runs(system: dict[str, Any]) -> dict[str, Any]:
    return dict(system["originality"]["voices"]["share"])


def _mean_set(system: dict[str, Any], figure: str) -> float:
    return float(np.mean([feature[figure] for feature in system["sets"].values()]))


def _folder(d: dict[str, Any]) -> list[str]:
    """The report on a folder of files."""
    s = d["settings"]
    lines = [
        f"# Evaluation of {s['folder']}",
        "",
        f"Written by `muse evaluate DIR --corpora CORPORA --dataset DATASET -o REPORT`. All figures: "
        f"[{NAME}.json]({NAME}.json). {d['systems']['folder']['n']} of {s['n_files']} files were read.",
        "",
        *_beside(d),
        "## The judges",
        "",
        *_table(
            ["judge, on human clips that it has never heard", "4 quadrants", "valence", "arousal"],
            [
                [row["name"], *(_share(row["validation"], name) for name in ("accuracy", "valence", "arousal"))]
                for row in d["judges"].values()
            ],
        ),
        "",
    ]
    if d["broken"]:
        lines += ["## Files that could not be read", "", *(f"- {row['file']}: {row['error']}" for row in d["broken"])]
    return lines


def _composer(d: dict[str, Any]) -> list[str]:
    s, q, human = d["settings"], d["quadrants"], d["judges"]
    bound = human["primary"]["validation"]
    versions = ", ".join(f"{name} {version}" for name, version in s["versions"].items())
    heard = [JUDGES[name] for name in q]
    lines = [
        "# Evaluation",
        "",
        "Written by `muse evaluate --composer --corpora CORPORA --dataset DATASET -o docs`. All figures: "
        f"[{NAME}.json]({NAME}.json); this page as one file: [{NAME}.html]({NAME}.html).",
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
        *_beside(d),
        "## Emotion control: quadrants",
        "",
        "Two judges heard the pieces. Both were fitted on EMOPIA's training clips alone, with features of their own "
        "(none of the attributes that steer the composer), and before any piece was composed. The feature judge "
        "decides; the phrase judge, which is deaf to loudness and to averages, stands beside it so that a result is "
        "not one judge's quirk. The selector helped to choose the pieces, so its own agreement flatters. The last "
        "column is the ceiling to read the others against: how often the deciding "
        "judge is right about EMOPIA's validation clips, human music of songs that it has never heard.",
        "",
        *_table(
            ["share of pieces", *heard, "feature judge on human clips"],
            [
                [text, *(_share(card, name) for card in (*q.values(), bound))]
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
            ["asked for", *heard, "feature judge on human clips"],
            [
                [mood, *(_plain(card["per_quadrant"][name]) for card in (*q.values(), bound))]
                for mood, name in zip(MOODS, QUADRANTS, strict=True)
            ],
        ),
        "",
        f"Without ranking, over all {d['unranked']['primary']['n']} candidates, "
        f"{_plain(d['unranked']['primary']['accuracy'], 3)} are in the quadrant asked for (phrase judge "
        f"{_plain(d['unranked']['second']['accuracy'], 3)}).",
        "",
        "![Counts of judged quadrants, generated and human](evaluation/confusion.png)",
        "",
        "![Judged valence and arousal of each piece and each human clip](evaluation/plane.png)",
        "",
    ]
    if "grid" in d:
        g = d["grid"]
        lines += [
            "## Emotion control: valence and arousal",
            "",
            f"One piece at each of {len(g['asked'])} points from -{s['grid_edge']} to {s['grid_edge']}. Judged valence "
            "is p(Q1) + p(Q4) - p(Q2) - p(Q3), judged arousal p(Q1) + p(Q2) - p(Q3) - p(Q4). The last column is how "
            "much the judged axis follows the other axis that was asked for; 0 is best.",
            "",
            *_table(
                ["judge", "axis", "Spearman of asked and judged", "mean error", "with the other axis asked"],
                [
                    [
                        judge,
                        axis,
                        f"{_plain(g[key][axis]['rho'])} {_interval(g[key][axis]['interval'])}",
                        _plain(g[key][axis]["mean_error"]),
                        _plain(g[key][axis]["leak"]),
                    ]
                    for key, judge in JUDGES.items()
                    if key in g
                    for axis in ("valence", "arousal")
                ],
            ),
            "",
            "![Judged valence and arousal over the grid asked for](evaluation/grid.png)",
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
        "![Distinct 4-grams, generated and human](evaluation/variety.png)",
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
                for key in human
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
        *([f"- Took part in choosing: {human['selector']['name']}."] if "selector" in human else []),
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
    return lines


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


def _interval(bounds: Sequence[float | None], digits: int = 2) -> str:
    return f"[{', '.join(_plain(b, digits) for b in bounds)}]"


def _plain(value: float | None, digits: int = 2) -> str:
    """Few digits; a question mark for what is not defined."""
    return "?" if value is None else f"{value:.{digits if abs(value) < 10 else 0}f}"
