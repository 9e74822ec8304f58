"""Settings of the selector's training.

Contents: :class:`Settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from muse.errors import InputError
from muse.selector.config import TASKS

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run. Written beside the weights."""

    tasks: tuple[str, ...] = TASKS
    """``("masked",)``, or any of quality, emotion, genre."""
    init: str = ""
    """Checkpoint to begin from; empty for random weights."""
    width: int = 256
    layers: int = 6
    heads: int = 4
    dropout: float = 0.1
    max_steps: int = 800
    learning_rate: float = 4e-4
    """Peak, after warm-up; cosine to a tenth of it."""
    head_rate: float = 4.0
    """Factor on the learning rate of what the first stage has not trained."""
    warmup_steps: int = 60
    weight_decay: float = 0.05
    gradient_clip: float = 1.0
    batch_events: int = 4000
    """Masked events: about so many events a step."""
    mask_share: float = 0.25
    emotion_rows: int = 12
    genre_rows: int = 6
    spoilt_groups: int = 3
    """Quality: groups of a real window and two grades of one kind of damage."""
    damage_weights: Mapping[str, float] = field(default_factory=dict)
    """Quality: how often a kind of damage is drawn, against 1 for those that are not named."""
    sample_groups: int = 3
    """Quality: groups of a real window and samples of a generator."""
    rating_share: float = 0.45
    """Share of the emotion rows that have ratings; the others have quadrants."""
    corpus_weights: Mapping[str, float] = field(default_factory=dict)
    """Masked events: share of a corpus's windows that an epoch takes; default 1."""
    exclude_fold: int = -1
    """Leave out this fifth of the rated pieces (by song), for cross-validation; -1 leaves out none."""
    max_events: int = 384
    """Longer windows are cut at random in training."""
    validate_every: int = 200
    seed: int = 0
    threads: int = 0
    """CPU threads, 0 = torch's choice."""
    averaging: float = 0.99
    """Decay of the running mean of the weights, which is what is written (Polyak & Juditsky 1992); 0 for the last."""
    max_minutes: float = 0.0
    """Stop after so many minutes of wall time, 0 = never; the run can be resumed."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.tasks) - {"masked", *TASKS})
        if unknown or not self.tasks:
            raise InputError(f"unknown task {', '.join(unknown) or 'none'}; legal are masked, {', '.join(TASKS)}")
