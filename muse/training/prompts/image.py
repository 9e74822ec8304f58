"""Fits what :mod:`muse.prompts.image` reads pictures with, and writes the checkpoint ``prompts-image``.

Data: a folder with ``oasis`` (Kurdi, Lozano & Banaji 2017: ratings, features, thumbnails) and ``vision_mobilenet_v2``
(torchvision's weights as ONNX). No picture and no rating goes into the checkpoint.

Method: square roots of the features, standardised, their first principal components whitened; support vector
regression (Drucker et al., NIPS 1996) with a Gaussian kernel for each axis; ridge regression on four colour
statistics for where there is no encoder. All figures are means over five-fold cross-validation with two divisions,
pictures of one theme ("Dog 1", "Dog 2") never in different parts; the settings, :data:`COMPONENTS` and
:data:`MARGIN`, were chosen once by the same folds among fourteen, of which the nearest eight differed by 0.01.

Contents: :func:`train_image`, :func:`fit_reader`.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.checkpoint import save_tensors
from muse.errors import InputError
from muse.files import write_json, write_text
from muse.prompts.image.colours import COLOUR_NAMES, colours
from muse.prompts.image.picture import read_picture
from muse.prompts.image.reader import MODEL_FILE, PictureReader
from muse.statistics import bootstrap

__all__ = ["fit_reader", "train_image"]

Array = np.ndarray[Any, np.dtype[Any]]
Fitted = Callable[[Array], Array]

COMPONENTS: Final = 100
MARGIN: Final = {"C": 0.3, "epsilon": 0.1}
RIDGE: Final = 1.0
"""Penalty of colours."""
SHRINKAGE: Final = 3000.0
"""Penalty of features, for comparison."""
N_FOLDS: Final = 5
DIVISIONS: Final = 2
WORDS_SPREAD: Final = 0.55
"""Standard deviation of valence and arousal over the table of emotion words."""
MIDDLE, HALF_RANGE = 4.0, 3.0
"""OASIS rates on 1..7."""


def train_image(data: str | Path, out: str | Path, *, seed: int = 0) -> dict[str, Any]:
    """Fit all heads and write the checkpoint.

    Parameters
    ----------
    data
        Folder with the two sets; see the module.
    out
        Folder of the checkpoint, made if need be.
    seed
        Of the cross-validation.

    Returns
    -------
    dict
        The figures, as in ``metrics.json``.

    Raises
    ------
    InputError
        The data are not there.
    """
    data, out = Path(data), Path(out)
    model = data / "vision_mobilenet_v2" / MODEL_FILE
    rows, features, ratings = _read(data)
    theme = np.array([row["theme"] for row in rows])
    seen = np.array([bool(row["thumb"]) for row in rows])
    statistics = [colours(read_picture(data / "oasis" / "thumbs" / row["thumb"])) for row in rows if row["thumb"]]
    colour = np.array([[one[name] for name in COLOUR_NAMES] for one in statistics])
    plain = np.array([[one["pleasure"], one["arousal"]] for one in statistics])

    def vision(x: Array, y: Array) -> Fitted:
        return _fit_vision(x, y, model).emotion

    own, names = ratings[seen], theme[seen]
    both = np.concatenate([np.sqrt(features[seen]), colour], axis=1)
    measured = {
        "vision": _crossed(vision, features, ratings, theme, seed),
        "ridge on the same features": _crossed(_ridge_of(SHRINKAGE), features, ratings, theme, seed),
        "vision, pictures with thumbnail": _crossed(vision, features[seen], own, names, seed),
        "ridge on the same features and colours": _crossed(_ridge_of(SHRINKAGE), both, own, names, seed),
        "colours alone": _crossed(_ridge_of(RIDGE), colour, own, names, seed),
    }
    published = {
        axis: float(np.corrcoef(plain[:, k], own[:, k])[0, 1]) for k, axis in enumerate(("valence", "arousal"))
    }

    fitted = _fit_vision(features, ratings, model)
    weight, bias = _ridge_weights(colour, own, RIDGE)
    labels, means = _themes(fitted, features, theme)
    own_tensors = {"themes": means.astype(np.float16), "colours.weight": weight, "colours.bias": bias}
    tensors = {**fitted.tensors, **own_tensors}
    out.mkdir(parents=True, exist_ok=True)
    save_tensors({name: np.ascontiguousarray(values) for name, values in tensors.items()}, out)
    spread = {by: measured[name]["spread"] for by, name in (("vision", "vision"), ("colours", "colours alone"))}
    config = {"model_type": "muse-prompts-image", "themes": labels, "spread": spread, **fitted.config}
    write_json(config, out / "config.json")
    metrics = {"pictures": len(rows), "themes": len(labels), "r": measured, "valdez_mehrabian_r": published}
    write_json(metrics, out / "metrics.json")
    write_text(out / "README.md", _card(metrics))
    shutil.copyfile(model, out / MODEL_FILE)
    return metrics


def _features(path: Path, names: list[str]) -> Array:
    """Features in the order of the names. The file keeps its names as Python objects, which are not opened."""
    import zipfile

    if not path.is_file():
        raise InputError(f"{path}: no such file: give the folder with oasis and vision_mobilenet_v2")
    with zipfile.ZipFile(path) as archive, archive.open("embedding.npy") as file:
        values = np.lib.format.read_array(file, allow_pickle=False)
    if len(values) != len(names):
        raise InputError(f"{path} has {len(values)} rows, the ratings have {len(names)}: get the folder again")
    return values.astype(np.float64)


def fit_reader(data: str | Path, left_out: frozenset[str] = frozenset()) -> PictureReader:
    """Heads for pictures alone, fitted without some themes: what evaluation on those needs.

    Parameters
    ----------
    data
        Folder with ``oasis`` and ``vision_mobilenet_v2``.
    left_out
        Themes that are not learnt from.
    """
    data = Path(data)
    rows, features, ratings = _read(data)
    theme = np.array([row["theme"] for row in rows])
    kept = ~np.isin(theme, list(left_out))
    fitted = _fit_vision(features[kept], ratings[kept], data / "vision_mobilenet_v2" / MODEL_FILE)
    themes, means = _themes(fitted, features[kept], theme[kept])
    config = {**fitted.config, "themes": themes, "spread": {"vision": [0.0, 0.0]}}
    return PictureReader({**fitted.tensors, "themes": means}, config, fitted.model)


def _themes(reader: PictureReader, features: Array, theme: Array) -> tuple[list[str], Array]:
    """Names of the themes, and their mean projected features [themes, components]."""
    names = sorted(set(theme.tolist()))
    projected = reader.project(features)
    return names, np.stack([projected[theme == name].mean(0) for name in names])


def _read(data: Path) -> tuple[list[dict[str, str]], Array, Array]:
    """Rows of OASIS, features and ratings in -1..1."""
    table, model = data / "oasis" / "ratings.csv", data / "vision_mobilenet_v2" / MODEL_FILE
    for path in (table, model):
        if not path.is_file():
            raise InputError(f"{path}: no such file: give the folder with oasis and vision_mobilenet_v2")
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    features = _features(data / "oasis" / "mobilenet_v2_embeddings.npz", [row["name"] for row in rows])
    ratings = np.array([[float(row["valence_mean"]), float(row["arousal_mean"])] for row in rows])
    return rows, features, (ratings - MIDDLE) / HALF_RANGE


def _fit_vision(features: Array, ratings: Array, model: Path) -> PictureReader:
    from sklearn.svm import SVR

    x = np.sqrt(features)
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / scale
    _, values, directions = np.linalg.svd(x, full_matrices=False)
    n = min(COMPONENTS, len(values))
    # As the kernel sees them: components keep their variances, so the first count most.
    components = directions[:n].T
    tensors: dict[str, Array] = {
        "mean": mean.astype(np.float32), "scale": scale.astype(np.float32), "components": components.astype(np.float16),
    }  # fmt: skip
    z = x @ components
    gamma = 1 / (n * z.var())  # scikit-learn's "scale"
    config: dict[str, Any] = _scale(ratings)
    for k, axis in enumerate(("valence", "arousal")):
        fitted = SVR(gamma=gamma, **MARGIN).fit(z, ratings[:, k])
        tensors[f"{axis}.support"] = fitted.support_vectors_.astype(np.float16)
        tensors[f"{axis}.dual"] = fitted.dual_coef_[0].astype(np.float32)
        tensors[f"{axis}.bias"] = np.array(fitted.intercept_[0], np.float32).reshape(1)
        config[f"{axis}_gamma"] = float(gamma)
    return PictureReader(tensors, config, model)


def _scale(ratings: Array) -> dict[str, list[float]]:
    """What widens ratings to the spread of emotion words."""
    return {"gain": (WORDS_SPREAD / ratings.std(0)).tolist(), "middle": [0.0, float(ratings[:, 1].mean())]}


def _ridge_weights(x: Array, y: Array, penalty: float) -> tuple[Array, Array]:
    """Ridge regression of standardised columns, folded into weights for plain ones."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / scale
    beta = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (y - y.mean(0)))
    weight = beta / scale[:, None]
    return weight.astype(np.float32), (y.mean(0) - mean @ weight).astype(np.float32)


def _ridge_of(penalty: float) -> Callable[[Array, Array], Fitted]:
    def fit(x: Array, y: Array) -> Fitted:
        weight, bias = _ridge_weights(x, y, penalty)
        return lambda new: new @ weight + bias

    return fit


def _crossed(fit: Callable[[Array, Array], Fitted], x: Array, y: Array, theme: Array, seed: int) -> dict[str, Any]:
    """Of predictions for left-out themes: correlation, 95 % interval (bootstrap over themes), spread of the error."""
    predicted = np.zeros((DIVISIONS, *y.shape))
    names, number = np.unique(theme, return_inverse=True)
    for division in range(DIVISIONS):
        part = (np.random.default_rng([seed, division]).permutation(len(names)) % N_FOLDS)[number]
        for k in range(N_FOLDS):
            predicted[division, part == k] = fit(x[part != k], y[part != k])(x[part == k])
    found: dict[str, Any] = {}
    for axis, name in enumerate(("valence", "arousal")):

        def r(rows: Array, axis: int = axis) -> float:
            return _r(predicted[:, rows], y[rows])[axis]

        low, high = bootstrap(np.arange(len(y)), r, groups=number, n_draws=400, seed=seed)
        found[name] = {"r": round(_r(predicted, y)[axis], 3), "interval": [round(low, 3), round(high, 3)]}
    found["spread"] = [round(float(s), 3) for s in (predicted - y).std(axis=(0, 1))]
    return found


def _r(predicted: Array, y: Array) -> list[float]:
    """Pearson's r of both axes, mean over the divisions."""
    return [float(np.mean([np.corrcoef(one[:, k], y[:, k])[0, 1] for one in predicted])) for k in range(2)]


def _card(metrics: dict[str, Any]) -> str:
    def cells(one: dict[str, Any]) -> str:
        return " | ".join(
            f"{one[axis]['r']:.3f} [{one[axis]['interval'][0]:.2f}, {one[axis]['interval'][1]:.2f}]"
            for axis in ("valence", "arousal")
        )

    rows = "\n".join(f"| {name} | {cells(one)} |" for name, one in metrics["r"].items())
    published = metrics["valdez_mehrabian_r"]
    return f"""---
license: other
tags: [emotion, valence, arousal, image]
---

# Muse prompts, pictures

Valence and arousal that people feel before a picture, and the scenes that it resembles. `muse.prompts.parse_image` and
`parse_video` use it; `muse train pictures` made it.

Five-fold cross-validation on {metrics["pictures"]} pictures of OASIS, pictures of one of the {metrics["themes"]} themes
never in different parts, two divisions; Pearson r with 95 % intervals (bootstrap over themes):

| | valence | arousal |
|---|---|---|
{rows}
| Valdez & Mehrabian 1994 (plain colours), nothing fitted | {published["valence"]:.3f} | {published["arousal"]:.3f} |

The first row is what is shipped. Colours add nothing to what the encoder sees, so they stay evidence.

## Files

`mobilenet_v2.onnx` the encoder (7 MB); `model.safetensors` heads; `config.json` themes, spreads; `metrics.json` all
figures.

## Data and licences

Heads and themes: ratings and features of the pictures of OASIS (Kurdi, Lozano & Banaji 2017, Behavior Research Methods
49), free for research, without a licence file; no picture and no rating is in this folder.

`mobilenet_v2.onnx`: torchvision's ImageNet weights of MobileNetV2 (Sandler et al., CVPR 2018) as ONNX, large weights in
float16, BSD-3-Clause; ImageNet itself is for non-commercial research, which some read as touching the weights.

## Known failures

OASIS has photographs of animals, objects, people and scenes, rated by American adults online: art, drawings, text in
pictures, faces in motion and culture-bound meaning are read badly, and the error is large everywhere (spread 0.3 to
0.4 on an axis of length two). What is felt depends on what is known: a picture of an empty chair is an empty chair.
"""
