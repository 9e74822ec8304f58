"""Training of the recogniser on several datasets at once.

Every batch has windows of every dataset; a dataset without some label leaves that head to the other datasets' teachers,
so losses are masked by dataset. Features are made once and kept in a cache folder; a second run, or one that was
interrupted, reads them from there. Clips of a split ``val`` or ``test``, and others of their groups, are never learnt
from.

Contents: :class:`RecognizerConfig`, :func:`train_recognizer`; its steps :func:`learn_harmony`, :func:`read_parts`,
:func:`teach`, :func:`fit`, :func:`learn_gate`; :class:`Part`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from muse.checkpoint import save_tensors
from muse.corpora.recordings import listener_curves
from muse.errors import InputError
from muse.files import write_json
from muse.recognizer.encoders.encoder import DEFAULT_ENCODER, MARGIN_STEPS, Encoder, open_encoder
from muse.recognizer.ensemble import Ensemble
from muse.recognizer.features.chords import HarmonyModel
from muse.recognizer.features.signal import semitones
from muse.recognizer.heads.calibration import calibrate
from muse.recognizer.heads.course import fit_course, followed
from muse.recognizer.heads.gate import NOISES, MusicGate, fit_gate, noise
from muse.recognizer.heads.network import TAGS, WINDOW_STEPS, Network, NetworkConfig, Told, Windows
from muse.recognizer.heads.personal import PersonalModel
from muse.recognizer.heads.teachers import Teacher, fit_teacher, group_folds, possible, statistics
from muse.recognizer.model import MODEL_TYPE
from muse.tasks.library import sound_files
from muse.training.recognizer.chords import (
    ChordSong,
    fit_harmony,
    key_points,
    read_pop909,
    split_songs,
    weighted_overlap,
)
from muse.training.recognizer.parts import Part, encoder_cache, kept, read_parts, sound_of
from muse.training.recognizer.personal import Tasks, fit_personal, tasks_of

__all__ = ["Part", "RecognizerConfig", "fit", "learn_gate", "learn_harmony", "read_parts", "teach", "train_recognizer"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RecognizerConfig:
    """How it is trained."""

    n_steps: int = 300
    """Of every network."""
    n_networks: int = 3
    """Trained from different seeds; their mean is told."""
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    noise: float = 0.1
    """Standard deviation of what is added to features, in their own."""
    dropout: float = 0.1
    harmony: bool = True
    """Chords and key are looked at."""
    distilled: float = 0.8
    """Share of the teachers in the loss, the rest is the labels'; 0: no teachers."""
    temperature: float = 2.0
    """Of tags when they are taught by teachers."""
    borrowed: float = 0.3
    """Weight of what teachers tell of other datasets' clips."""
    taught: float = 0.7
    """Share of the teachers in what is told in the end."""
    course: bool = True
    """How a piece moves around its mean is learnt apart."""
    n_noises: int = 20
    """Of each kind, from which the gate learns what is no music."""
    seed: int = 0


def train_recognizer(
    folders: Sequence[str | Path],
    chords: str | Path,
    out: str | Path,
    *,
    cache: str | Path,
    other: Sequence[str | Path] = (),
    encoder: str | Path = DEFAULT_ENCODER,
    config: RecognizerConfig | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train on datasets and write a checkpoint.

    Parameters
    ----------
    folders
        Of datasets, see :func:`~muse.corpora.recordings.open_dataset`.
    chords
        Folder of POP909, from which chords and keys are learnt.
    out
        Folder of the checkpoint.
    cache
        Folder of features; made if need be.
    other
        Folders of sounds that are no music, such as speech; see :mod:`muse.recognizer.heads.gate`.
    encoder
        A checkpoint of MusiCNN or MERT; see :func:`~muse.recognizer.encoders.encoder.open_encoder`.
    config
        Settings.
    progress
        Called with the share that is done.

    Returns
    -------
    dict
        Number of clips and windows by dataset; overlap of chords and points of keys on songs not learnt from; how well
        music is told from other sounds.

    Raises
    ------
    InputError
        A dataset cannot be read, or two are the same; a folder has no sound.
    """
    config = config or RecognizerConfig()
    others = [path for folder in other for path in sound_files(Path(folder))]
    harmony, measured = learn_harmony(chords, cache, config.seed)
    hears = open_encoder(encoder)
    parts = []
    for part in read_parts(folders, harmony, cache, hears, progress=share_of(progress, 0, 0.5)):
        held = {clip.group for clip in part.clips if clip.split in ("val", "test")}
        parts.append(part.only(np.array([clip.group not in held for clip in part.clips])))
    teachers, lessons = teach(parts, config) if config.distilled else ({}, [])
    networks = []
    for i in range(config.n_networks):
        networks.append(fit(parts, replace(config, seed=config.seed + i), lessons))
        if progress is not None:
            progress(0.5 + 0.5 * (i + 1) / config.n_networks)
    gate, sorted_out = learn_gate(parts, others, cache, hears, config)
    ensemble = Ensemble(networks, teachers, config.taught, gate, fit_course(parts) if config.course else None)
    personal, listeners = learn_listeners(parts, folders, config)
    counts: dict[str, Any] = {"harmony": measured, "listener_curves": listeners, "gate": sorted_out}
    counts |= {part.name: {"clips": len(part.clips), "windows": len(part.owner)} for part in parts}
    tensors = {f"harmony.{name}": value for name, value in harmony.tensors().items()}
    if personal is not None:
        tensors |= {f"personal.{name}": value for name, value in personal.state_dict().items()}
    folder = Path(out)
    save_tensors(tensors | ensemble.tensors(), folder)
    facts = {
        "model_type": MODEL_TYPE,
        "encoder": str(encoder),
        "calibration": asdict(calibrate(parts, lessons)),
        "personal": personal is not None,
    }
    write_json(facts | ensemble.config(), folder / "config.json")
    write_json({"settings": asdict(config), "data": counts}, folder / "training.json")
    return counts


def learn_gate(
    parts: Sequence[Part], others: Sequence[Path], cache: str | Path, encoder: Encoder, config: RecognizerConfig
) -> tuple[MusicGate, dict[str, Any]]:
    """What tells music from other sounds, and how well it does on groups of clips and kinds of sound held out.

    Of each window of music a stretch of random length is looked at, for the others are short.
    """
    other, kinds = _other_sounds(others, encoder_cache(cache, encoder), encoder, config)
    random = torch.Generator().manual_seed(config.seed)
    music = [statistics(_cropped(part.windows, random, least=0.05))["embedding"] for part in parts]
    names = sorted(set(kinds.tolist()))
    passed: list[list[float]] = [[] for _ in parts]
    let_through = {}
    folds = [group_folds(part.groups, len(names), config.seed)[part.owner] for part in parts]
    for i, name in enumerate(names):
        judge = fit_gate([x[fold != i] for x, fold in zip(music, folds, strict=True)], other[kinds != name])
        let_through[name] = float((judge(other[kinds == name]) >= 0.5).mean())
        for x, fold, found in zip(music, folds, passed, strict=True):
            found += judge(x[fold == i]).tolist()
    shares = {part.name: float((np.array(found) >= 0.5).mean()) for part, found in zip(parts, passed, strict=True)}
    return fit_gate(music, other), {"music": shares, "other": let_through}


def _other_sounds(
    others: Sequence[Path], cache: Path, encoder: Encoder, config: RecognizerConfig
) -> tuple[Floats, NDArray[np.str_]]:
    """Mean embeddings of noise and of the first window of sound files, [n, numbers], and of which kind each is."""
    longest = (WINDOW_STEPS + MARGIN_STEPS) * encoder.sample_rate // 2

    def embedded(make: Callable[[], Floats]) -> dict[str, Floats]:
        return {"embedding": encoder.encode(make()[:longest])[:WINDOW_STEPS].mean(axis=0, keepdims=True)}

    rows, kinds = [], []
    for kind, i in itertools.product(NOISES, range(config.n_noises)):
        own = np.random.default_rng([config.seed, i, *kind.encode()])
        made = functools.partial(noise, kind, encoder.sample_rate, own)
        rows.append(kept(cache / "noise" / f"{kind}{i}.{config.seed}.npz", functools.partial(embedded, made)))
        kinds.append(kind)
    for path in others:
        read = functools.partial(sound_of, path, encoder.sample_rate)
        rows.append(kept(cache / "other" / path.parent.name / f"{path.stem}.npz", functools.partial(embedded, read)))
        kinds.append(path.parent.name)
    return np.concatenate([row["embedding"] for row in rows]), np.array(kinds)


def learn_listeners(
    parts: Sequence[Part], folders: Sequence[str | Path], config: RecognizerConfig, n_folds: int = 3
) -> tuple[PersonalModel | None, int]:
    """What all listeners share, from the datasets that have single listeners' curves; None where none has.

    What they are compared with is told by networks and teachers that did not learn from the piece. Returns the number
    of curves too.
    """
    curves = {}
    for part, folder in zip(parts, folders, strict=True):
        with contextlib.suppress(InputError):  # those annotations are not everybody's
            curves[part.name] = listener_curves(folder)
    if not curves:
        return None, 0
    folds = {part.name: group_folds(part.groups, n_folds) for part in parts}
    told = {part.name: np.zeros((*part.windows.there.shape, 2), np.float32) for part in parts if part.name in curves}
    for i in range(n_folds):
        learnt = [part.only(folds[part.name] != i) for part in parts]
        teachers, lessons = teach(learnt, config) if config.distilled else ({}, [])
        ensemble = Ensemble([fit(learnt, config, lessons)], teachers, config.taught)
        course = fit_course(learnt) if config.course else None
        for part in parts:
            if part.name in curves:
                out = folds[part.name] == i
                some = part.only(out)
                told[part.name][out[part.owner]] = followed(course, some, ensemble.tell(some.windows).curve)
    tasks = [tasks_of(part, told[part.name], curves[part.name]) for part in parts if part.name in curves]
    merged = Tasks(
        {name: value for one in tasks for name, value in one.heard.items()},
        {name: value for one in tasks for name, value in one.ratings.items()},
        {name: value for one in tasks for name, value in one.groups.items()},
    )
    if not merged.heard:
        return None, 0
    return fit_personal(merged, seed=config.seed), int(sum(x.shape[2] for x in merged.ratings.values()))


def share_of(progress: Callable[[float], None] | None, low: float, high: float) -> Callable[[float], None] | None:
    """Progress of a step that goes from `low` to `high` of the whole."""
    return None if progress is None else lambda share: progress(low + (high - low) * share)


def learn_harmony(chords: str | Path, cache: str | Path, seed: int = 0) -> tuple[HarmonyModel, dict[str, Any]]:
    """The chord recogniser, learnt from POP909, and what it reaches on songs of its own."""
    folder = Path(cache) / "pop909"

    def pitches(song: ChordSong) -> Floats:
        return kept(folder / f"{song.name}.npz", lambda: {"pitches": semitones(sound_of(song.path))})["pitches"]

    learnt, held = split_songs(read_pop909(Path(chords)))
    model = fit_harmony(learnt, pitches, seed=seed)
    heard = [(song, model.hear(pitches(song))) for song in held]
    overlap = [weighted_overlap(song, harmony) for song, harmony in heard]
    points = [key_points(song.key, harmony.key) for song, harmony in heard if song.key is not None]
    songs = {"learnt": len(learnt), "held_out": len(held)}
    measured = {"majmin_overlap": interval(overlap), "key_points": interval(points)}
    return model, {**songs, **measured}


def interval(values: Sequence[float], n_draws: int = 2000) -> list[float]:
    """Mean, and the 95 % interval of it that the percentile bootstrap gives."""
    x = np.asarray(values, float)
    drawn = x[np.random.default_rng(0).integers(len(x), size=(n_draws, len(x)))].mean(axis=1)
    return [float(x.mean()), *np.percentile(drawn, [2.5, 97.5]).tolist()]


Teachers = Mapping[str, Sequence[Teacher]]
"""By set of tags or ``plane``; several where several datasets have such labels."""
Lesson = Mapping[str, torch.Tensor]
"""What teachers tell of a part's windows, by set of tags (probabilities) or ``plane``, [W, targets]."""


def teach(parts: Sequence[Part], config: RecognizerConfig) -> tuple[Teachers, list[Lesson]]:
    """Teachers of all parts' labels, and what they tell of each part; of clips that one was fitted on, another does.

    Of what a part has no labels for, the mean of the others' teachers.
    """
    windows = [statistics(part.windows) for part in parts]
    told: list[dict[str, list[Floats]]] = [{} for _ in parts]
    teachers: dict[str, list[Teacher]] = {}
    for k, part in enumerate(parts):
        for name, labels in part.targets().items():
            teacher, apart = fit_teacher(windows[k], part.owner, labels, part.groups, harmony=config.harmony)
            teachers.setdefault(name, []).append(teacher)
            for i, other in enumerate(parts):
                if i == k or name not in other.targets():
                    answer = apart if i == k else teacher(windows[i])
                    told[i].setdefault(name, []).append(possible(name, answer))
    return teachers, [
        {name: torch.from_numpy(np.mean(answers, axis=0)) for name, answers in one.items()} for one in told
    ]


def fit(parts: Sequence[Part], config: RecognizerConfig, lessons: Sequence[Lesson] = ()) -> Network:
    """Train one network on windows with their labels, and on what teachers tell of them (see :func:`teach`)."""
    torch.manual_seed(config.seed)
    random = torch.Generator().manual_seed(config.seed)
    sets = [name for name in TAGS if any(part.tag_set == name for part in parts)]
    shape = NetworkConfig(
        parts[0].windows.steps.shape[2],
        {name: len(TAGS[name]) for name in sets},
        harmony=config.harmony,
        dropout=config.dropout,
    )
    network = Network(shape)
    # Every dataset weighs the same in the scale of features.
    _scale([part.windows.steps[part.windows.there] for part in parts], network.mean, network.spread)
    _scale([part.windows.profile for part in parts], network.profile_mean, network.profile_spread)
    learners = [_Learner(part, config, lessons[i] if lessons else {}) for i, part in enumerate(parts)]
    optimizer = torch.optim.AdamW(network.parameters(), config.rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.n_steps, pct_start=0.1)
    share = max(config.batch // len(parts), 1)
    network.train()
    for _ in range(config.n_steps):
        rows = [torch.randint(len(part.owner), (share,), generator=random) for part in parts]
        drawn = [_cropped(Windows(*(x[k] for x in part.windows)), random) for part, k in zip(parts, rows, strict=True)]
        x = Windows(*(torch.cat(column) for column in zip(*drawn, strict=True)))
        blur = config.noise * network.spread * torch.randn(x.steps.shape, generator=random)
        told = network(x._replace(steps=x.steps + blur))
        losses = [
            learner.loss(told.only(slice(i * share, (i + 1) * share)), k, drawn[i].there)
            for i, (learner, k) in enumerate(zip(learners, rows, strict=True))
        ]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def _scale(values: Sequence[torch.Tensor], mean: torch.Tensor, spread: torch.Tensor) -> None:
    """Write mean and standard deviation over datasets' rows."""
    first = torch.stack([x.mean(dim=0) for x in values]).mean(dim=0)
    square = torch.stack([x.square().mean(dim=0) for x in values]).mean(dim=0)
    mean.copy_(first)
    spread.copy_((square - first**2).clamp(min=1e-4).sqrt())


RATING_WEIGHT, TAG_WEIGHT, CURVE_WEIGHT, SPREAD_WEIGHT = 4.0, 4.0, 0.5, 0.3
"""What brings the losses to about one size; tags here are those that do not exclude each other."""


class _Learner:
    """Labels of a part's windows, and the losses that they ask for."""

    def __init__(self, part: Part, config: RecognizerConfig, lesson: Lesson) -> None:
        self.part, self.config, self.lesson = part, config, lesson
        self.tags = None if part.tags is None else torch.from_numpy(part.tags[part.owner])
        self.plane = None if part.plane is None else torch.from_numpy(part.plane[part.owner])
        self.hard = {part.tag_set} if part.tags is not None else set()
        self.hard |= {"plane"} if part.plane is not None else set()
        self.class_weight = self.positive_weight = None
        if self.tags is not None and part.tag_set != "quadrants" and bool(((self.tags == 0) | (self.tags == 1)).all()):
            # Rare tags count for more (Kang & Herremans 2025, section 3.3; a tag of share p: 1/p and 2 / (1 + 1/p)).
            inverse = 1 / self.tags.mean(dim=0).clamp(min=1e-3)
            self.positive_weight, self.class_weight = inverse, 2 / (1 + inverse)

    def loss(self, told: Told, rows: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Of the windows `rows`, whose steps `there` were looked at."""
        config = self.config
        share = config.distilled if self.lesson else 0.0
        total = torch.zeros(())
        if self.tags is not None:
            total = total + (1 - share) * self._tag_loss(told.tags[self.part.tag_set], self.tags[rows])
        if self.plane is not None:
            target = self.plane[rows]
            error = (told.plane - target).square()
            total = total + (1 - share) * RATING_WEIGHT * error.mean()
            total = total + SPREAD_WEIGHT * _likelihood(error, told.log_variance)
            curve = target[:, None].expand(-1, there.shape[1], -1)
            rated = there
            if self.part.curve is not None:
                curve = self.part.curve[rows]
                rated = there & curve.isfinite().all(dim=2)
            if rated.any():
                error = (told.curve[rated] - curve[rated]).square()
                spread = _likelihood(error, told.curve_log_variance[rated])
                total = total + CURVE_WEIGHT * (RATING_WEIGHT * error.mean() + SPREAD_WEIGHT * spread)
        for name, lesson in self.lesson.items():
            weight = share if name in self.hard else config.borrowed
            total = total + weight * self._taught(name, told, lesson[rows])
        return total

    def _tag_loss(self, logits: torch.Tensor, tags: torch.Tensor) -> torch.Tensor:
        if self.part.tag_set == "quadrants":
            return functional.cross_entropy(logits, tags.argmax(dim=1), label_smoothing=0.1)
        return TAG_WEIGHT * functional.binary_cross_entropy_with_logits(
            logits, tags, weight=self.class_weight, pos_weight=self.positive_weight
        )

    def _taught(self, name: str, told: Told, lesson: torch.Tensor) -> torch.Tensor:
        """Tags softened on both sides by the temperature, which its square makes up for (Hinton et al., section 2)."""
        if name == "plane":
            return RATING_WEIGHT * (told.plane - lesson).square().mean()
        heat = self.config.temperature
        logits = told.tags[name] / heat
        if name == "quadrants":
            return heat**2 * functional.cross_entropy(logits, (lesson.log() / heat).softmax(dim=1))
        soft = (lesson.logit() / heat).sigmoid()
        return TAG_WEIGHT * heat**2 * functional.binary_cross_entropy_with_logits(logits, soft)


def _likelihood(error: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of the expected error; the error itself is not moved by it."""
    return (error.detach() * (-log_variance).exp() + log_variance).mean()


def _cropped(windows: Windows, random: torch.Generator, least: float = 0.5) -> Windows:
    """The share `least` of each window or more."""
    n = windows.there.sum(dim=1)
    kept = (n * (least + (1 - least) * torch.rand(len(n), generator=random))).long().clamp(min=8)
    first = ((n - kept).clamp(min=0) * torch.rand(len(n), generator=random)).long()
    place = torch.arange(windows.there.shape[1])
    inside = (place >= first[:, None]) & (place < (first + kept)[:, None])
    return windows._replace(there=windows.there & inside)
