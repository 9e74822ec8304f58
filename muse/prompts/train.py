"""Fits the heads of :mod:`muse.prompts.encoder` and writes the checkpoint ``prompts-text``.

Data: a folder with ``emobank/emobank.csv.gz`` (Buechel & Hahn 2017, CC BY-SA 4.0), ``glasgow_norms/glasgow_norms.csv``
(Scott et al. 2019, CC BY 4.0), ``goemotions/goemotions.tsv.gz`` (Demszky et al. 2020, Apache-2.0). None of their rows
goes into the checkpoint, only what is fitted to them.

Method: ridge regression for valence and arousal, the penalty chosen on the development split; logistic regression for
the categories, one threshold per category chosen on the development split for its F1. What is chosen never sees the
test split; the words head is measured on 1,000 words left out, then fitted to all.

Contents: :func:`train`.
"""

from __future__ import annotations

import csv
import gzip
import random
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.checkpoint import save_json, save_tensors
from muse.emotion import Emotion, emotion_words
from muse.errors import InputError
from muse.prompts.encoder import CATEGORY_WORDS, LAYERS, WIDTH, Encoder, lexicon_features

__all__ = ["train"]

Array = np.ndarray[Any, np.dtype[Any]]

PENALTIES: Final = (1_000.0, 3_000.0, 10_000.0, 30_000.0)
LEXICON_WEIGHT: Final = 3.0
"""Standardized lexicon features count so much more than the encoder's in the penalty: they are few."""
VIEWS: Final = ("V_reader", "A_reader", "V_writer", "A_writer", "V", "A")
N_UNSEEN_WORDS: Final = 1_000
N_PER_CATEGORY: Final = 750
N_NEUTRAL: Final = 2_200
N_DEV, N_TEST = 1_800, 2_500
EPOCHS: Final = 40


def train(
    data: str | Path, out: str | Path, tokenizer: str | Path, *, cache: str | Path | None = None, seed: int = 0
) -> dict[str, Any]:
    """Fit all heads and write the checkpoint.

    Parameters
    ----------
    data
        Folder with the three sets; see the module.
    out
        Folder of the checkpoint, made if need be.
    tokenizer
        ``tokenizer.json`` of all-MiniLM-L6-v2 (that of an earlier checkpoint will do).
    cache
        Folder where features are kept between runs; about 110 MB.
    seed
        Of the splits and the order of training.

    Returns
    -------
    dict
        The figures of ``metrics.json``.

    Raises
    ------
    InputError
        A file of the data is missing.
    MissingExtraError
        The encoder's package is not installed.
    """
    data, out = Path(data), Path(out)
    for name in ("emobank/emobank.csv.gz", "glasgow_norms/glasgow_norms.csv", "goemotions/goemotions.tsv.gz"):
        if not (data / name).is_file():
            raise InputError(f"{data / name}: no such file; the folder of the prompt data has it")
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "tokenizer.json").exists():
        shutil.copyfile(tokenizer, out / "tokenizer.json")
    encoder = Encoder(out)

    def features(name: str, texts: Sequence[str]) -> Array:
        path = None if cache is None else Path(cache) / f"{name}.npy"
        if path is not None and path.is_file() and len(stored := np.load(path)) == len(texts):
            return np.asarray(stored, np.float32)
        fresh = encoder.encode(texts)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, fresh.astype(np.float16))
        return fresh

    tensors: dict[str, Array] = {}
    metrics: dict[str, Any] = {}
    vocabulary = _vocabulary(out)
    places = _fit_words(data, vocabulary, features, tensors, metrics, seed)
    config = _fit_emobank(data, places, features, tensors, metrics)
    config |= _fit_categories(data, features, tensors, metrics, seed)
    save_tensors({name: np.ascontiguousarray(t, np.float32) for name, t in tensors.items()}, out)
    save_json(config | {"encoder": "all-MiniLM-L6-v2, 8 bit", "layers": list(LAYERS)}, out / "config.json")
    save_json(metrics, out / "metrics.json")
    (out / "README.md").write_text(_card(metrics), encoding="utf-8")
    return metrics


def _vocabulary(folder: Path) -> dict[str, int]:
    from muse.checkpoint import load_json

    vocabulary: dict[str, int] = load_json(folder / "tokenizer.json")["model"]["vocab"]
    return vocabulary


Features = Callable[[str, Sequence[str]], Array]


def _ridge(X: Array, y: Array, penalty: float) -> tuple[Array, Array]:
    """Weight and bias of ridge regression on standardized features, folded back onto the raw ones."""
    mean, scale = X.mean(0), X.std(0) + 1e-3
    Z = (X - mean) / scale
    gram = Z.T @ Z
    gram[np.diag_indices_from(gram)] += penalty
    weight = np.linalg.solve(gram, Z.T @ (y - y.mean(0))) / scale[:, None]
    return weight, y.mean(0) - mean @ weight


def _correlation(predicted: Array, y: Array) -> list[float]:
    return [round(float(np.corrcoef(predicted[:, k], y[:, k])[0, 1]), 3) for k in range(y.shape[1])]


def _fit_words(
    data: Path, vocabulary: dict[str, int], features: Features, tensors: dict[str, Array], metrics: dict[str, Any],
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    with (data / "glasgow_norms" / "glasgow_norms.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    X = features("glasgow", [row["Word"] for row in rows])
    y = np.array([[(float(row[name]) - 5) / 4 for name in ("Valence", "Arousal")] for row in rows])
    order = np.random.default_rng(seed).permutation(len(rows))
    unseen, seen = order[:N_UNSEEN_WORDS], order[N_UNSEEN_WORDS:]
    # The penalty is chosen inside the seen words, so that the unseen ones stay unseen.
    inner, held = seen[N_UNSEEN_WORDS:], seen[:N_UNSEEN_WORDS]
    penalty = max(PENALTIES, key=lambda p: sum(_correlation(_apply(_ridge(X[inner], y[inner], p), X[held]), y[held])))
    metrics["words"] = {
        "unseen_words": N_UNSEEN_WORDS, "penalty": penalty,
        "r_valence_arousal": _correlation(_apply(_ridge(X[seen], y[seen], penalty), X[unseen]), y[unseen]),
    }  # fmt: skip
    tensors["words.weight"], tensors["words.bias"] = _ridge(X, y, penalty)
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2)
    found = features("vocabulary", words) @ tensors["words.weight"] + tensors["words.bias"]
    lexicon = np.full((max(vocabulary.values()) + 1, 2), np.nan, np.float32)
    lexicon[[vocabulary[word] for word in words]] = np.clip(found, -1, 1)
    tensors["lexicon"] = lexicon
    return {word: lexicon[vocabulary[word]] for word in words}


def _apply(head: tuple[Array, Array], X: Array) -> Array:
    return X @ head[0] + head[1]


def _fit_emobank(
    data: Path, places: dict[str, Any], features: Features, tensors: dict[str, Array], metrics: dict[str, Any]
) -> dict[str, Any]:
    with gzip.open(data / "emobank" / "emobank.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts = [row["text"] for row in rows]
    extra = np.array([lexicon_features(text, places) for text in texts], np.float32)
    y = np.array([[(float(row[name]) - 3) / 2 for name in VIEWS] for row in rows])
    part = {name: np.array([row["split"] == name for row in rows]) for name in ("train", "dev", "test")}
    # In standardized units a feature multiplied by w is penalized w**2 times less: that is what the weight does.
    scale = extra[part["train"]].std(0) + 1e-3
    X = features("emobank", texts)

    def fit(columns: Array, penalty: float) -> tuple[Array, Array]:
        chosen = part["train"]
        mean, sd = columns[chosen].mean(0), columns[chosen].std(0) + 1e-3
        sd[WIDTH * len(LAYERS) :] = scale / LEXICON_WEIGHT
        Z = (columns[chosen] - mean) / sd
        gram = Z.T @ Z
        gram[np.diag_indices_from(gram)] += penalty
        center = y[chosen].mean(0)
        weight = np.linalg.solve(gram, Z.T @ (y[chosen] - center)) / sd[:, None]
        return weight, center - mean @ weight

    both = np.hstack([X, extra])
    heads = {p: fit(both, p) for p in PENALTIES}
    dev, test = part["dev"], part["test"]
    # A penalty of its own for every view.
    best = [
        max(PENALTIES, key=lambda p: _correlation(_apply(heads[p], both[dev])[:, [k]], y[dev][:, [k]])[0])
        for k in range(len(VIEWS))
    ]
    weight = np.stack([heads[p][0][:, k] for k, p in enumerate(best)], 1)
    bias = np.array([heads[p][1][k] for k, p in enumerate(best)])
    predicted = both[test] @ weight + bias
    table = np.array([[w.emotion.valence, w.emotion.arousal] for w in emotion_words().values()])
    gain = table.std(0) / y[part["train"]][:, :2].std(0)
    residual = (predicted - y[test])[:, :2].std(0) * gain
    metrics["emobank"] = {
        "test_sentences": int(test.sum()), "penalties": dict(zip(VIEWS, best, strict=True)),
        "r": dict(zip(VIEWS, _correlation(predicted, y[test]), strict=True)),
    }  # fmt: skip
    tensors["emobank.weight"], tensors["emobank.bias"] = weight, bias
    return {
        "gain": [round(float(x), 3) for x in gain],
        "spread": [round(float(x), 3) for x in residual],
        "emobank_mean": [round(float(x), 4) for x in y[part["train"]].mean(0)],
    }


def _select(rows: list[list[str]], seed: int) -> list[list[str]]:
    """Training rows until every category has its share, and fixed numbers of development and test rows."""
    rows = list(rows)
    random.Random(seed).shuffle(rows)
    kept: Counter[str] = Counter()
    chosen = []
    for row in rows:
        labels = row[2].split(",")
        rare = any(kept[name] < N_PER_CATEGORY for name in labels if name != "neutral")
        if row[1] == "train" and (rare or ("neutral" in labels and kept["neutral"] < N_NEUTRAL)):
            kept.update(labels)
            chosen.append(row)
    dev = [row for row in rows if row[1] == "dev"][:N_DEV]
    return chosen + dev + [row for row in rows if row[1] == "test"][:N_TEST]


def _fit_categories(
    data: Path, features: Features, tensors: dict[str, Array], metrics: dict[str, Any], seed: int
) -> dict[str, Any]:
    import torch

    with gzip.open(data / "goemotions" / "goemotions.tsv.gz", "rt", encoding="utf-8") as file:
        rows = _select([line.rstrip("\n").split("\t") for line in list(file)[1:]], seed)
    names = list(CATEGORY_WORDS)
    X = features("goemotions", [row[3] for row in rows])
    y = np.array([[name in row[2].split(",") for name in names] for row in rows], np.float32)
    train_, dev, test = (np.array([row[1] == split for row in rows]) for split in ("train", "dev", "test"))
    mean, scale = X[train_].mean(0), X[train_].std(0) + 1e-3
    Z = torch.from_numpy((X - mean) / scale)
    labels = torch.from_numpy(y)

    generator = torch.Generator().manual_seed(seed)
    weight = torch.zeros(X.shape[1], len(names), requires_grad=True)
    bias = torch.logit(labels[train_].mean(0).clamp(0.001)).clone().requires_grad_()
    optimizer = torch.optim.AdamW([weight, bias], lr=5e-4, weight_decay=1.0)
    seen = torch.from_numpy(np.flatnonzero(train_))
    n_steps = EPOCHS * (len(seen) // 256 + 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-4, total_steps=n_steps, pct_start=0.1)
    for _ in range(EPOCHS):
        for batch in seen[torch.randperm(len(seen), generator=generator)].split(256):  # type: ignore[no-untyped-call]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(Z[batch] @ weight + bias, labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()

    logits = (Z @ weight + bias).detach().numpy()
    # Training rows are balanced; shifting every bias to the development split's rates undoes that.
    for k in range(len(names)):
        low, high = -10.0, 10.0
        for _ in range(40):
            middle = (low + high) / 2
            rate = (1 / (1 + np.exp(-logits[dev, k] - middle))).mean()
            low, high = (middle, high) if rate < y[dev, k].mean() else (low, middle)
        logits[:, k] += low
        with torch.no_grad():
            bias[k] += low
    p = 1 / (1 + np.exp(-logits))
    thresholds = []
    for k in range(len(names)):
        grid = np.unique(np.quantile(p[dev, k], np.linspace(0.5, 0.999, 120)))
        thresholds.append(float(grid[np.argmax([_f1(p[dev, k] >= t, y[dev, k] > 0) for t in grid])]))
    chosen = p >= np.array(thresholds)
    f1 = [round(_f1(chosen[test, k], y[test, k] > 0), 3) for k in range(len(names))]
    points = np.array([[Emotion.parse(w).valence, Emotion.parse(w).arousal] for w in CATEGORY_WORDS.values()])
    is_emotion = np.array([name != "neutral" for name in names])
    felt = test & (y[:, is_emotion].sum(1) > 0)
    truth = _quadrants((y[felt][:, is_emotion] @ points[is_emotion]) / y[felt][:, is_emotion].sum(1, keepdims=True))
    share = p[felt][:, is_emotion]
    guess = _quadrants((share @ points[is_emotion]) / share.sum(1, keepdims=True))
    metrics["categories"] = {
        "training_rows": int(train_.sum()), "test_rows": int(test.sum()),
        "macro_f1": round(float(np.mean(f1)), 3), "f1": dict(zip(names, f1, strict=True)),
        "quadrant_accuracy": round(float((truth == guess).mean()), 3), "quadrant_rows": int(felt.sum()),
        "quadrant_majority": round(float(np.bincount(truth).max() / len(truth)), 3),
    }  # fmt: skip
    folded = weight.detach().numpy() / scale[:, None]
    tensors["categories.weight"] = folded
    tensors["categories.bias"] = bias.detach().numpy() - mean @ folded
    return {"categories": names, "thresholds": [round(t, 4) for t in thresholds]}


def _f1(chosen: Array, truth: Array) -> float:
    both = float((chosen & truth).sum())
    return 2 * both / max(1.0, float(chosen.sum() + truth.sum()))


def _quadrants(points: Array) -> Array:
    return np.array([int(Emotion(float(v), float(a)).quadrant[1]) for v, a in np.clip(points, -1, 1)])


def _card(metrics: dict[str, Any]) -> str:
    words, bank, kinds = metrics["words"], metrics["emobank"], metrics["categories"]
    rows = "\n".join(f"| EmoBank test, {view} | {value:.3f} |" for view, value in bank["r"].items())
    return f"""---
license: cc-by-sa-4.0
tags: [emotion, valence, arousal, text]
---

# Muse prompts, text

Heads on the sentence encoder all-MiniLM-L6-v2 (8 bit, not part of this folder): valence and arousal of sentences in the
reader's and the writer's view, of single words, and 28 categories of emotion. English. `muse.prompts.parse_text`
uses them; `muse.prompts.train.train` made them.

| measured on | Pearson r |
|---|---|
| Glasgow Norms, {words["unseen_words"]} unseen words, valence | {words["r_valence_arousal"][0]:.3f} |
| Glasgow Norms, {words["unseen_words"]} unseen words, arousal | {words["r_valence_arousal"][1]:.3f} |
{rows}

GoEmotions, {kinds["training_rows"]:,} training rows, {kinds["test_rows"]:,} test rows: macro-F1 of the 28 categories
{kinds["macro_f1"]:.3f}; quadrant of the mapped emotion right in {kinds["quadrant_accuracy"]:.1%} of the
{kinds["quadrant_rows"]:,} rows that carry an emotion (the commonest quadrant alone: {kinds["quadrant_majority"]:.1%}).

## Files

`model.safetensors` heads and lexicon; `config.json` names, thresholds, scales; `tokenizer.json` the encoder's WordPiece
vocabulary; `metrics.json` all figures.

## Data and licences

Only what was fitted is here, no row of the data.

| data | licence | what is fitted |
|---|---|---|
| EmoBank (Buechel & Hahn 2017, EACL) | CC BY-SA 4.0 | `emobank.*` |
| Glasgow Norms (Scott et al. 2019, doi 10.3758/s13428-018-1099-3) | CC BY 4.0 | `words.*`, `lexicon` |
| GoEmotions (Demszky et al. 2020, ACL) | Apache-2.0 | `categories.*` |
| all-MiniLM-L6-v2 (Reimers & Gurevych 2019; Wang et al. 2020) | Apache-2.0 | `tokenizer.json` is taken over |

As one part was fitted to data under CC BY-SA, the whole folder is given under CC BY-SA 4.0.

## Limits

Sentences of news, letters, essays, fiction, blogs (EmoBank) and Reddit comments (GoEmotions), rated by a few people
each, mostly speakers of American English: what they found pleasant is not everybody's. Sentences about music are in
none of the sets. Categories seen fewer than 200 times (grief, pride, relief, nervousness) are found badly.
"""
