"""Settings of the recogniser's training.

Contents: :class:`RecognizerConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RecognizerConfig"]


@dataclass(frozen=True)
class RecognizerConfig:
    """How it is trained."""

    n_steps: int = 300
    """Of every network."""
    n_networks: int = 3
    """Trained from different seeds; their mean counts."""
    batch: int = 64
    rate: float = 2e-3
    weight_decay: float = 0.05
    noise: float = 0.1
    """Standard deviation of what is added to features, in their own."""
    dropout: float = 0.1
    harmony: bool = True
    """Chords and key are inputs."""
    distilled: float = 0.8
    """Share of the teachers in the loss, the rest is the labels'; 0: no teachers."""
    temperature: float = 2.0
    """Of tags in the distillation loss."""
    borrowed: float = 0.3
    """Weight of soft targets from other datasets' teachers."""
    taught: float = 0.7
    """Share of the teachers in the final prediction."""
    course: bool = True
    """How a piece moves around its mean is learnt apart."""
    n_music: int = 200
    """Takes of recordings, as many of scores and of tunes, and chords, from which the gate learns what is music."""
    n_noises: int = 27
    """Of each kind, from which it learns what is none."""
    seed: int = 0
