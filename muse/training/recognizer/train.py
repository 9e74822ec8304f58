"""Training of the recogniser on several datasets at once: the main path, from folders to a checkpoint.

Features are made once and written to a cache folder; a second run, or one that was interrupted, reads them from there.
Clips of a split ``val`` or ``test``, and others of their groups, are never learnt from.

Contents: :func:`train_recognizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from muse.checkpoint import save_tensors
from muse.files import write_json
from muse.recognizer.encoders.encoder import DEFAULT_ENCODER
from muse.recognizer.encoders.load import open_encoder
from muse.recognizer.ensemble import Ensemble
from muse.recognizer.model import MODEL_TYPE
from muse.training.recognizer.calibration import calibrate
from muse.training.recognizer.chords import learn_harmony
from muse.training.recognizer.config import RecognizerConfig
from muse.training.recognizer.course import fit_course
from muse.training.recognizer.gate import fit_gate
from muse.training.recognizer.gate_takes import hear_takes
from muse.training.recognizer.network import fit_network
from muse.training.recognizer.parts import read_parts, share_of
from muse.training.recognizer.personal import learn_listeners
from muse.training.recognizer.teachers import distil

__all__ = ["train_recognizer"]


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
        A checkpoint of MusiCNN or MERT; see :func:`~muse.recognizer.encoders.load.open_encoder`.
    config
        Settings.
    progress
        Called with the share that is done.

    Returns
    -------
    dict
        Number of clips and windows by dataset; overlap of chords and points of keys on songs not learnt from; how well
        music is separated from other sounds.

    Raises
    ------
    InputError
        A dataset cannot be read, or two are the same; a folder has no sound.
    """
    config = config or RecognizerConfig()
    harmony, measured = learn_harmony(chords, cache, config.seed)
    audio_encoder = open_encoder(encoder)
    parts = []
    for part in read_parts(folders, harmony, cache, audio_encoder, progress=share_of(progress, 0, 0.5)):
        held = {clip.group for clip in part.clips if clip.split in ("val", "test")}
        parts.append(part.only(np.array([clip.group not in held for clip in part.clips])))
    teachers, soft_targets = distil(parts, config) if config.distilled else ({}, [])
    networks = []
    for i in range(config.n_networks):
        networks.append(fit_network(parts, replace(config, seed=config.seed + i), soft_targets))
        if progress is not None:
            progress(0.5 + 0.5 * (i + 1) / config.n_networks)
    heard = hear_takes(
        folders, other, audio_encoder, cache, n_music=config.n_music, n_noises=config.n_noises, seed=config.seed
    )
    gate, gate_measured = fit_gate(heard)
    ensemble = Ensemble(networks, teachers, config.taught, fit_course(parts) if config.course else None)
    personal, listeners = learn_listeners(parts, folders, config)
    counts: dict[str, Any] = {"harmony": measured, "listener_curves": listeners, "gate": gate_measured}
    counts |= {part.name: {"clips": len(part.clips), "windows": len(part.owner)} for part in parts}
    tensors = {f"harmony.{name}": value for name, value in harmony.tensors().items()}
    if personal is not None:
        tensors |= {f"personal.{name}": value for name, value in personal.state_dict().items()}
    folder = Path(out)
    save_tensors(tensors | ensemble.tensors(), folder)
    gate.write(folder, audio_encoder.name)
    facts = {
        "model_type": MODEL_TYPE,
        "encoder": str(encoder),
        "calibration": asdict(calibrate(parts, soft_targets)),
        "personal": personal is not None,
        "fusion": False,
    }
    write_json(facts | ensemble.config(), folder / "config.json")
    write_json({"settings": asdict(config), "data": counts}, folder / "training.json")
    return counts
