"""Whether pieces hold the tunes that were hummed: note for note, in every candidate.

``python benchmarks/motif_report.py`` prints JSON. Sixty folk melodies of music21's corpus are hummed by made voices
(:mod:`prompts_humming`), read, and composed with; what is looked for is the motif that was understood.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

import numpy as np
from prompts_humming import melodies, sing

from muse.composer import Composer
from muse.composer.motif import find_statement
from muse.prompts.humming import parse_humming
from muse.prompts.humming.transcribe import SAMPLE_RATE
from muse.score import note_array


def measure(n: int) -> dict[str, Any]:
    """All figures."""
    composer, rng = Composer.from_pretrained(selector=None), np.random.default_rng([1, 7])
    opened = candidates = 0
    ways: Counter[str] = Counter()
    whole = stated = 0
    for k, melody in enumerate(melodies(n, 1)):
        parsed = parse_humming(sing(*melody, rng).samples, SAMPLE_RATE)
        assert parsed.intent.motif is not None
        notes = note_array(parsed.intent.motif)
        bars = 8 + 4 * int((notes["onset_beat"] + notes["duration_beat"]).max() // 16)
        intent = parsed.corrected(emotion=("happy", "sad", "calm", "tense")[k % 4], bars=bars).intent
        piece = composer.compose(intent, n_candidates=2, seed=k)
        for candidate in piece.candidates:
            found = [
                find_statement(candidate.score, one, bar_steps=48, denominator=4) == len(one.motif.step)
                for one in piece.brief.statements
            ]
            candidates, opened = candidates + 1, opened + found[0]
            stated, whole = stated + len(found) - 1, whole + sum(found[1:])
        ways.update(one.how for one in piece.brief.statements[1:])
    return {
        "tunes": k + 1, "pieces": candidates, "open_with_the_motif_note_for_note": opened,
        "later_statements": stated, "of_them_whole": whole, "how": dict(ways.most_common()),
    }  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=60, help="melodies")
    print(json.dumps(measure(parser.parse_args().n), indent=2))
