"""Pre-training of ``mert-small``, an encoder of our own by MERT's recipe, small enough to ship.

A HuBERT network gets five seconds of sound with stretches of frames masked, and predicts at the masked ones the targets
of two teachers, which get the whole sound (Li et al. 2024, "MERT", ICLR, section 3): an acoustic one, codes of the
spectrum by residual k-means, and a musical one, the energy at every pitch (there a constant-Q transform). In half of
the crops other sound of the batch is mixed in (section 3.3). Beside that it learns to give MusiCNN's embedding of every
half second.

Sound comes from recordings and from MIDI, rendered several times: another soundfont where there are several, another
tempo and key, other loudness and filters.

Conventions
-----------
take
    One rendering of a source, int16 at 24 kHz, at most :data:`TAKE_SEC`; written to a cache folder with MusiCNN's
    embedding.
frame
    320 samples, 75 a second; ``T`` of a crop.
code
    Nearest centroid of the spectrum's residual at each stage, int [T, :data:`N_STAGES`].

The run itself is :func:`muse.training.loop.train`; crops and masks are functions of seed and step.

Contents: :class:`PretrainConfig`, :func:`make_takes`, :func:`pretrain`, :class:`Codebooks`.
"""

from __future__ import annotations

import concurrent.futures
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.signal
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from muse.audio import AUDIO_SUFFIXES, read_audio
from muse.checkpoint import save_tensors
from muse.corpora import MIDI_SUFFIXES
from muse.errors import InputError, MuseError
from muse.files import replacing, write_json
from muse.recognizer.encoders.musicnn import MusicnnEncoder
from muse.recognizer.features.signal import LOWEST_PITCH
from muse.render import render_audio
from muse.score import read_score
from muse.training import loop
from muse.training.loop import Learner, Run, card, scheduled, state_path

__all__ = ["Codebooks", "PretrainConfig", "make_takes", "pretrain"]

Floats = NDArray[np.float32]
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]

SAMPLE_RATE: Final = 24_000
FRAME: Final = 320
TAKE_SEC: Final = 60.0
SHORTEST_SEC: Final = 6.0
N_STAGES, N_CENTROIDS = 4, 256
N_MELS, MEL_WINDOW = 96, 1024
N_PITCHES, PITCH_WINDOW = 84, 8192
CODE_WIDTH: Final = 64
LOGIT_SCALE: Final = 10.0
"""Cosines are divided by a temperature of 0.1, as in MERT's settings."""
MASK_SHARE, MASK_FRAMES = 0.8, 5
"""Of frames, in stretches of so many (MERT's settings for 95M)."""
MIX_SHARE: Final = 0.5
N_EMBEDDING: Final = 400


@dataclass(frozen=True)
class PretrainConfig:
    """How ``mert-small`` is trained; 6.4 million parameters by default."""

    n_steps: int = 20_000
    batch: int = 32
    crop_sec: float = 5.0
    rate: float = 5e-4
    warmup: float = 0.08
    """Share of the steps."""
    weight_decay: float = 0.01
    pitch_weight: float = 1.0
    embedding_weight: float = 1.0
    """Of MusiCNN's embedding; 0 leaves it out."""
    save_every: int = 500
    n_held_out: int = 64
    """Takes, of sources of their own, on which the loss is measured."""
    hidden: int = 256
    n_layers: int = 6
    n_heads: int = 4
    conv: int = 256
    seed: int = 0


# --------------------------------------------------------------------------------------------------------------- takes


def make_takes(
    sources: Sequence[str | Path],
    cache: str | Path,
    *,
    n_takes: int = 3,
    soundfonts: Sequence[str | Path] = (),
    embed: bool = True,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Path]:
    """Render MIDI files and read sound files of folders, each `n_takes` times, unless the cache has them.

    Parameters
    ----------
    sources
        Folders or files.
    cache
        Folder of takes.
    n_takes
        Of each MIDI file; a recording has as many, with other filters.
    soundfonts
        SF2 files to choose from; the one that comes with Muse when there is none.
    embed
        MusiCNN's embedding is written with each.
    seed
        Of tempi, keys and filters.
    workers
        Processes; all processors when None.
    progress
        Called with the share that is done.

    Raises
    ------
    InputError
        There is no MIDI and no sound in the sources. A file that cannot be read is left out.
    """
    files = sorted({path for source in sources for path in _files(Path(source))})
    if not files:
        raise InputError(f"no MIDI and no sound in {', '.join(map(str, sources))}: give folders that hold some")
    folder = Path(cache)
    folder.mkdir(parents=True, exist_ok=True)
    names = [hashlib.sha1(path.name.encode() + str(path.stat().st_size).encode()).hexdigest()[:16] for path in files]
    jobs = [(path, folder / f"{name}-{take}.npz", take) for path, name in zip(files, names, strict=True)
            for take in range(n_takes)]  # fmt: skip
    waiting = [job for job in jobs if not job[1].is_file()]
    work = functools.partial(_make_take, soundfonts=tuple(map(str, soundfonts)), embed=embed, seed=seed)
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(waiting) < 2:
        done = map(work, waiting)
        _count(done, len(waiting), progress)
    else:
        with concurrent.futures.ProcessPoolExecutor(workers) as pool:
            _count(pool.map(work, waiting, chunksize=4), len(waiting), progress)
    return sorted({path for _, path, _ in jobs if path.is_file() and path.stat().st_size})


def _count(done: Any, total: int, progress: Callable[[float], None] | None) -> None:
    for i, _ in enumerate(done):
        if progress is not None:
            progress((i + 1) / total)


def _files(source: Path) -> list[Path]:
    wanted = MIDI_SUFFIXES | set(AUDIO_SUFFIXES)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    return [path for path in ([source] if source.is_file() else source.rglob("*")) if path.suffix.lower() in wanted]


def _make_take(job: tuple[Path, Path, int], *, soundfonts: tuple[str, ...], embed: bool, seed: int) -> None:
    """Write a take; an empty file for what cannot be read or is too short, so that it is not tried again."""
    path, out, take = job
    torch.set_num_threads(1)
    random = np.random.default_rng([seed, take, int(out.stem.split("-")[0], 16) % 2**32])
    try:
        sound = _varied(path, random, soundfonts)
    except MuseError:
        sound = np.zeros(0, np.float32)
    if len(sound) < SHORTEST_SEC * SAMPLE_RATE:
        out.touch()
        return
    arrays: dict[str, Any] = {"sound": (np.clip(sound, -1, 1) * 32767).astype(np.int16)}
    if embed:
        plain = scipy.signal.resample_poly(sound, 2, 3).astype(np.float32)
        arrays["embedding"] = _musicnn().encode(plain).astype(np.float16)
    with replacing(out) as temporary:
        np.savez(temporary, **arrays)


@functools.lru_cache(maxsize=1)
def _musicnn() -> MusicnnEncoder:
    return MusicnnEncoder.from_pretrained()


def _varied(path: Path, random: np.random.Generator, soundfonts: tuple[str, ...]) -> Floats:
    """A minute of a source, one channel: MIDI in another tempo and key, everything with other loudness and filters."""
    if path.suffix.lower() in MIDI_SUFFIXES:
        score, shift, slower = read_score(path), int(random.integers(-3, 4)), random.uniform(0.8, 1.25)
        for tempo in score.tempos:
            tempo.mspq = round(tempo.mspq * slower)
        for track in score.tracks:
            if not track.is_drum:
                track.shift_pitch(shift, inplace=True)
        font = soundfonts[random.integers(len(soundfonts))] if soundfonts else None
        sound = render_audio(score, sample_rate=SAMPLE_RATE, soundfont=font).mean(axis=0)
    else:
        sound = read_audio(path, SAMPLE_RATE)
    n = int(TAKE_SEC * SAMPLE_RATE)
    first = int(random.integers(max(len(sound) - n, 0) + 1))
    sound = sound[first : first + n]
    for _ in range(int(random.integers(0, 3))):  # shelves of up to 9 dB, like other rooms and microphones
        corner, gain = 10 ** random.uniform(2.2, 3.8), 10 ** (random.uniform(-9, 9) / 20)
        b, a = scipy.signal.butter(1, corner, fs=SAMPLE_RATE)
        low = scipy.signal.lfilter(b, a, sound)
        sound = low * gain + (sound - low)
    loud = float(np.abs(sound).max(initial=0.0))
    return (sound * (random.uniform(0.2, 0.95) / max(loud, 1e-6))).astype(np.float32)


# ------------------------------------------------------------------------------------------------------------- teachers


class Spectra(nn.Module):
    """What the teachers look at: mel spectrum and energy at every pitch of each frame, in logarithms."""

    mel: torch.Tensor
    pitch: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mel", _triangles(MEL_WINDOW, _mel_edges()), persistent=False)
        centre = LOWEST_PITCH - 4 + np.arange(-1, N_PITCHES + 1)  # from C1 on
        self.register_buffer("pitch", _triangles(PITCH_WINDOW, 440 * 2 ** ((centre - 69) / 12)), persistent=False)

    def forward(self, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, T, 96] and [B, T, 84] of sound [B, n]."""
        n_frames = sound.shape[1] // FRAME
        found = []
        for window, filters in ((MEL_WINDOW, self.mel), (PITCH_WINDOW, self.pitch)):
            spectrum = torch.stft(
                sound, window, FRAME, window=torch.hann_window(window, device=sound.device), return_complex=True
            ).abs()
            found.append((spectrum.transpose(1, 2)[:, :n_frames] @ filters + 1e-4).log())
        return found[0], found[1]


def _mel_edges() -> NDArray[np.float64]:
    mel = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), N_MELS + 2)
    return 700 * (10 ** (mel / 2595) - 1)


def _triangles(window: int, edges: NDArray[np.float64]) -> torch.Tensor:
    """Filters [window / 2 + 1, n] that rise and fall between their neighbours' centres, two bins wide at least."""
    bins = np.arange(window // 2 + 1) * SAMPLE_RATE / window
    width = np.maximum(np.diff(edges), 2 * SAMPLE_RATE / window)
    rise = 1 - (edges[1:-1] - bins[:, None]) / width[:-1]
    fall = 1 - (bins[:, None] - edges[1:-1]) / width[1:]
    filters = np.clip(np.minimum(rise, fall), 0, None)
    return torch.from_numpy((filters / filters.sum(axis=0)).astype(np.float32))


class Codebooks(nn.Module):
    """Residual k-means of mel spectra: the acoustic teacher."""

    mean: torch.Tensor
    spread: torch.Tensor
    centroids: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_MELS))
        self.register_buffer("spread", torch.ones(N_MELS))
        self.register_buffer("centroids", torch.zeros(N_STAGES, N_CENTROIDS, N_MELS))

    def fit(self, spectra: Floats, seed: int) -> None:
        """On mel spectra [n, 96]."""
        from sklearn.cluster import MiniBatchKMeans

        self.mean.copy_(torch.from_numpy(spectra.mean(axis=0)))
        self.spread.copy_(torch.from_numpy(spectra.std(axis=0) + 1e-3))
        left = ((spectra - self.mean.numpy()) / self.spread.numpy()).astype(np.float32)
        for stage in range(N_STAGES):
            means = MiniBatchKMeans(N_CENTROIDS, random_state=seed + stage, n_init=1, batch_size=4096).fit(left)
            self.centroids[stage] = torch.from_numpy(means.cluster_centers_.astype(np.float32))
            left = left - means.cluster_centers_[means.labels_].astype(np.float32)

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        """Codes [B, T, stages] of mel spectra [B, T, 96]."""
        left = (spectra - self.mean) / self.spread
        codes = []
        for centroids in self.centroids:
            nearest = torch.cdist(left, centroids.expand(len(left), -1, -1)).argmin(dim=-1)
            codes.append(nearest)
            left = left - centroids[nearest]
        return torch.stack(codes, dim=-1)


# ------------------------------------------------------------------------------------------------------------- network


class MaskedModel(nn.Module):
    """The network with the heads that only pre-training needs."""

    pitch_mean: torch.Tensor
    pitch_spread: torch.Tensor

    def __init__(self, config: PretrainConfig) -> None:
        super().__init__()
        from transformers import HubertConfig, HubertModel

        self.config = config
        shape = HubertConfig(
            hidden_size=config.hidden, num_hidden_layers=config.n_layers, num_attention_heads=config.n_heads,
            intermediate_size=4 * config.hidden, conv_dim=(config.conv,) * 7, num_conv_pos_embedding_groups=16,
            mask_time_prob=0.05, mask_feature_prob=0.0, apply_spec_augment=True, layerdrop=0.0,
            hidden_dropout=0.1, attention_dropout=0.1, feat_proj_dropout=0.1, sample_rate=SAMPLE_RATE,
        )  # fmt: skip
        self.hubert = HubertModel(shape)
        self.codes = nn.Linear(config.hidden, N_STAGES * CODE_WIDTH)
        self.code_vectors = nn.Parameter(torch.randn(N_STAGES, N_CENTROIDS, CODE_WIDTH))
        self.pitches = nn.Linear(config.hidden, N_PITCHES)
        self.embedding = nn.Linear(config.hidden, N_EMBEDDING)
        self.spectra, self.teacher = Spectra(), Codebooks()
        self.register_buffer("pitch_mean", torch.zeros(N_PITCHES))
        self.register_buffer("pitch_spread", torch.ones(N_PITCHES))

    def forward(
        self, clean: torch.Tensor, mixed: torch.Tensor, mask: torch.Tensor, embedding: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        """Losses on masked frames.

        Parameters
        ----------
        clean, mixed
            Input of the teachers and of the network, [B, n].
        mask
            Frames that the network does not see, bool [B, T].
        embedding
            MusiCNN's of the half seconds in it, [B, steps, 400].
        """
        mel, pitch = self.spectra(clean)
        T = int(
            self.hubert._get_feat_extract_output_lengths(torch.tensor(mixed.shape[1]))
        )  # one short, for its borders
        mask, mel, pitch = mask[:, :T], mel[:, :T], pitch[:, :T]
        hidden = self.hubert(mixed, mask_time_indices=mask).last_hidden_state  # [B, T, D]
        expected = self.teacher(mel)[mask]  # [n, stages]
        predicted = functional.normalize(self.codes(hidden[mask]).unflatten(1, (N_STAGES, CODE_WIDTH)).float(), dim=-1)
        vectors = functional.normalize(self.code_vectors.float(), dim=-1)
        logits = LOGIT_SCALE * torch.einsum("nsw,scw->nsc", predicted, vectors)
        losses = {"codes": functional.cross_entropy(logits.flatten(0, 1), expected.flatten())}
        level = ((pitch - self.pitch_mean) / self.pitch_spread)[mask]
        losses["pitches"] = (self.pitches(hidden[mask]).float() - level).square().mean()
        if embedding is not None:
            steps = functional.adaptive_avg_pool1d(hidden.transpose(1, 2), embedding.shape[1]).transpose(1, 2)
            losses["embedding"] = (self.embedding(steps).float() - embedding).square().mean()
        return losses

    def total(self, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        """Weighted sum."""
        total = losses["codes"] + self.config.pitch_weight * losses["pitches"]
        return total + self.config.embedding_weight * losses["embedding"] if "embedding" in losses else total


# ------------------------------------------------------------------------------------------------------------- training


def pretrain(
    takes: Sequence[Path],
    out: str | Path,
    *,
    config: PretrainConfig | None = None,
    minutes: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Train on takes; the best weights so far are in `out`, the state to go on from in ``<out>.run``.

    Parameters
    ----------
    takes
        Of :func:`make_takes`.
    out
        Folder of the checkpoint, which :class:`muse.recognizer.encoders.mert.MertEncoder` loads.
    config
        Settings; a run that goes on must have the same.
    minutes
        Stop after so many, 0: never; a later call goes on.
    progress
        Called with the share that is done.

    Returns
    -------
    dict
        Steps made, and the losses on takes held out.

    Raises
    ------
    InputError
        There are too few takes, or the run that is to go on has other settings.
    """
    config = config or PretrainConfig()
    learnt, held = _split(takes, config)

    def make() -> _Learner:
        learner = _Learner(config, learnt, held)
        if not state_path(out).exists():
            _fit_teachers(learner.model, learnt, config)
        return learner

    run = Run(config.n_steps, config.save_every, config.seed, gradient_clip=10.0, max_minutes=minutes)
    learner = loop.train(make, out, run, on_step=progress)
    return {"steps": int(learner.global_step), **learner.history[-1]}


class _Learner(Learner):
    """The masked model with its takes."""

    best_by = "total"

    def __init__(self, config: PretrainConfig, takes: Sequence[Path], held_out: Sequence[Path]) -> None:
        super().__init__(config.seed)
        self.config, self.takes, self.held_out = config, takes, held_out
        self.model = MaskedModel(config)

    def batches(self, first: int) -> Iterable[Batch]:
        return (_batch(self.takes, self.config, step) for step in itertools.count(first))

    def loss(self, batch: Batch) -> torch.Tensor:
        return self.model.total(self.model(*batch))

    @torch.inference_mode()
    def measure(self) -> dict[str, float]:
        """Losses on held-out takes, always the same crops and masks."""
        self.eval()
        small = replace(self.config, batch=min(16, self.config.batch))
        sums: dict[str, float] = {}
        n = max(len(self.held_out) // small.batch, 1)
        for i in range(n):
            batch = _batch(self.held_out, small, 10**9 + i)
            losses = self.model(*(None if part is None else part.to(self.device) for part in batch))
            for name, value in {**losses, "total": self.model.total(losses)}.items():
                sums[name] = sums.get(name, 0.0) + float(value) / n
        self.train()
        return sums

    def configure_optimizers(self) -> Any:
        c = self.config
        optimizer = torch.optim.AdamW(self.parameters(), c.rate, betas=(0.9, 0.98), weight_decay=c.weight_decay)
        return scheduled(optimizer, lambda step: _slope(step / c.n_steps, c.warmup))

    def state(self) -> dict[str, Any]:
        return {"settings": asdict(self.config)}

    def take_state(self, state: Mapping[str, Any]) -> None:
        if state["settings"] != asdict(self.config):
            raise InputError("the run that is to go on has other settings: give those, or restart it")

    def write(self, folder: Path) -> None:
        """In Hugging Face's format, the network without the heads."""
        hubert = self.model.hubert
        save_tensors({name: value.detach().cpu() for name, value in hubert.state_dict().items()}, folder)
        config = {**hubert.config.to_dict(), "model_type": "hubert", "sample_rate": SAMPLE_RATE}
        write_json(config, folder / "config.json")
        write_json({"do_normalize": False, "sampling_rate": SAMPLE_RATE}, folder / "preprocessor_config.json")

    @property
    def n_weights(self) -> int:
        return sum(parameter.numel() for parameter in self.model.hubert.parameters())

    def settings_json(self) -> dict[str, Any]:
        return asdict(self.config)

    def card(self, name: str) -> str:
        """The model card."""
        best = self.best
        return card(
            f"Encoder of sound, `{name}`",
            ("music", "audio", "representation"),
            f"A HuBERT network of {self.n_weights:,} weights, pre-trained by MERT's recipe (Li et al., ICLR 2024).\n"
            "`muse.recognizer` loads it as an encoder, `transformers.HubertModel.from_pretrained` as a network.",
            {
                "data": f"{len(self.takes):,} takes of sound and rendered MIDI, chosen by the one who ran the training",
                "steps": f"{best['step']:,.0f}",
                "loss on takes held out": f"{best['total']:.4f}",
            },
            "Licences of the data are those of the sources given.",
            head={"license": "other"},
        )


def _split(takes: Sequence[Path], config: PretrainConfig) -> tuple[list[Path], list[Path]]:
    """Takes to learn from and to measure on; all takes of a source on one side."""
    sources = sorted({take.stem.rpartition("-")[0] for take in takes})
    n = min(config.n_held_out, len(sources) // 5)
    if n < 1:
        raise InputError(f"{len(sources)} sources are too few to learn from and to measure on: give five or more")
    away = set(sources[:n])  # names are hashes
    held = [take for take in takes if take.stem.rpartition("-")[0] in away]
    return [take for take in takes if take not in set(held)], held


def _slope(share: float, warmup: float) -> float:
    return share / warmup if share < warmup else (1 - share) / (1 - warmup)


def _crop(take: Path, n: int, random: np.random.Generator) -> tuple[Floats, Floats | None]:
    """Sound that begins with a step, and MusiCNN's embedding of its steps."""
    with np.load(take, allow_pickle=False) as stored:
        sound = stored["sound"].astype(np.float32) / 32767
        embedding = stored["embedding"].astype(np.float32) if "embedding" in stored.files else None
    step = SAMPLE_RATE // 2
    first = int(random.integers(max((len(sound) - n) // step, 0) + 1))
    crop = sound[first * step : first * step + n]
    crop = np.pad(crop, (0, n - len(crop)))
    if embedding is not None:
        rows = np.minimum(np.arange(first, first + n // step), len(embedding) - 1)
        embedding = embedding[rows]
    return crop, embedding


def _batch(takes: Sequence[Path], config: PretrainConfig, step: int) -> Batch:
    """Arguments of :class:`MaskedModel`, functions of seed and step."""
    random = np.random.default_rng([config.seed, step])
    n = round(config.crop_sec * 2) * SAMPLE_RATE // 2
    crops = [_crop(takes[i], n, random) for i in random.integers(len(takes), size=config.batch).tolist()]
    clean = np.stack([crop for crop, _ in crops])
    mixed = clean.copy()
    for i in range(len(mixed)):
        if len(mixed) > 1 and random.random() < MIX_SHARE:
            for _ in range(int(random.integers(1, 4))):
                length = int(random.integers(SAMPLE_RATE // 2, SAMPLE_RATE + 1))
                other = (i + int(random.integers(1, len(mixed)))) % len(mixed)
                start, at = (int(random.integers(n - length + 1)) for _ in range(2))
                mixed[i, at : at + length] += clean[other, start : start + length]
    mask = np.zeros((len(mixed), n // FRAME), bool)
    for row in mask:
        starts = random.random(len(row)) < MASK_SHARE / MASK_FRAMES
        for frame in np.flatnonzero(starts):
            row[frame : frame + MASK_FRAMES] = True
    rows = [embedding for _, embedding in crops if embedding is not None]
    whole = len(rows) == len(crops) and config.embedding_weight > 0
    embedding = torch.from_numpy(np.stack(rows)) if whole else None
    return torch.from_numpy(clean), torch.from_numpy(mixed), torch.from_numpy(mask), embedding


@torch.inference_mode()
def _fit_teachers(model: MaskedModel, takes: Sequence[Path], config: PretrainConfig) -> None:
    random = np.random.default_rng(config.seed)
    mels, pitches = [], []
    for i in random.permutation(len(takes))[:2000].tolist():
        sound, _ = _crop(takes[i], 4 * SAMPLE_RATE, random)
        mel, pitch = model.spectra(torch.from_numpy(sound)[None])
        mels.append(mel[0, :: max(len(takes) // 400, 1)].numpy())
        pitches.append(pitch[0].numpy())
    rows = np.concatenate(mels)
    if len(rows) < 2 * N_CENTROIDS:
        raise InputError(f"{len(rows)} frames of sound are too few for {N_CENTROIDS} codes: give more sources")
    model.teacher.fit(rows, config.seed)
    level = np.concatenate(pitches)
    model.pitch_mean.copy_(torch.from_numpy(level.mean(axis=0)))
    model.pitch_spread.copy_(torch.from_numpy(level.std(axis=0) + 1e-3))
