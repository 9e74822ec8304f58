"""How people play in each quadrant, and what follows for the accompaniment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from muse.composer.playing import Playing, Texture, quadrant_shares
from muse.emotion import Emotion, EmotionPath
from muse.errors import InputError


def drawn(path: str, n_bars: int = 16, seed: int = 0) -> tuple[Texture, ...]:
    return Playing.load().texture(EmotionPath.parse(path), n_bars, 4, np.random.default_rng(seed))


def test_quiet_music_is_thinner_slower_and_longer_than_lively_music() -> None:
    (lively, *rest), (quiet, *_) = drawn("Q2"), drawn("Q4")
    assert rest == [lively] * 3
    assert lively.attacks > 1.3 * quiet.attacks
    assert lively.size > 1.2 * quiet.size
    assert lively.length < 0.7 * quiet.length
    assert lively.notes_at_once > quiet.notes_at_once >= 2


def test_points_between_the_quadrants_belong_to_both_sides_in_part() -> None:
    np.testing.assert_allclose(quadrant_shares(Emotion(0.65, 0.65)), [1, 0, 0, 0])
    np.testing.assert_allclose(quadrant_shares(Emotion(0.3, 0.65)), [0.75, 0.25, 0, 0])
    np.testing.assert_allclose(quadrant_shares(Emotion(0, 0)), [0.25] * 4)
    shares = np.array([quadrant_shares(Emotion(-0.65, arousal)) for arousal in (-0.6, -0.3, 0.0, 0.3, 0.6)])
    np.testing.assert_allclose(shares.sum(1), 1)
    np.testing.assert_allclose(shares[:, 1], [0, 0.25, 0.5, 0.75, 1], atol=1e-12)


def test_a_path_changes_the_texture_section_by_section() -> None:
    attacks = [one.attacks for one in drawn("Q4>Q2", 18)]
    assert len(attacks) == 5
    assert attacks == sorted(attacks)
    assert attacks[-1] > 1.3 * attacks[0]


def test_the_same_playing_is_more_onsets_and_shorter_notes_a_beat_where_beats_are_longer() -> None:
    texture = drawn("Q1")[0]
    slow, fast = texture.accompaniment(60.0), texture.accompaniment(120.0)
    assert slow["density"] > fast["density"]
    assert slow["articulation"] == pytest.approx(fast["articulation"] / 2)
    assert slow["thickness"] == fast["thickness"]


def test_a_table_that_lacks_a_quadrants_figure_is_refused(tmp_path: Path) -> None:
    (path := tmp_path / "playing.json").write_text('{"Q1": {"mean": [1, 2, 3]}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"playing\.json"):
        Playing.load(path)
