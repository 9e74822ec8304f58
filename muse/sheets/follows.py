"""Which bar follows which, as a remark in a file: notation has no sign for it.

``<checksum> 0 =4 ~8,4``: an entry a bar, its tune (``=4`` the same as four bars before, ``~4`` like it) and, where they
are not those of that same bar, after a comma the lag of its chords. The checksum is of what the bars say; where they
have been edited since, the remark no longer holds.

Contents: :data:`REMARK`, :func:`write_follows`, :func:`with_follows`.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace
from typing import Final

from muse.tokens.plan import Plan
from muse.tokens.plan_form import follow
from muse.tokens.tune import tune_notes

__all__ = ["REMARK", "with_follows", "write_follows"]

REMARK: Final = "muse-follows"
"""Name of the remark in a file."""
_ENTRY: Final = re.compile(r"([=~]?)(\d{1,4})(?:,(\d{1,4}))?")


def write_follows(plan: Plan) -> str:
    """The remark; empty where no bar follows another."""
    if not any(bar.melody_lag or bar.chords_lag for bar in plan.bars):
        return ""
    entries = []
    for bar in plan.bars:
        tune = f"{'=' if bar.melody_exact else '~'}{bar.melody_lag}" if bar.melody_lag else "0"
        entries.append(tune if bar.chords_lag == bar.melody_lag else f"{tune},{bar.chords_lag}")
    return " ".join([_checksum(plan), *entries])


def with_follows(plan: Plan, remark: str | None) -> Plan:
    """The plan with what a remark says; found anew where its bars have been edited since, as it is without one."""
    if not remark:
        return plan
    checksum, *entries = remark.split() or [""]
    found = [_ENTRY.fullmatch(entry) for entry in entries]
    if checksum != _checksum(plan) or len(found) != len(plan.bars) or None in found:
        return follow(plan)
    bars = []
    for bar, match in zip(plan.bars, found, strict=True):
        sign, tune, chords = match.groups() if match else ("", "0", None)
        lag = int(tune)
        bars.append(
            replace(bar, melody_lag=lag, melody_exact=sign == "=", chords_lag=lag if chords is None else int(chords))
        )
    return replace(plan, bars=tuple(bars))


def _checksum(plan: Plan) -> str:
    said = [[(c.position, c.root, c.quality, c.bass) for c in bar.chords] for bar in plan.bars]
    tune = [(note.position, note.pitch, note.length) for note in tune_notes(plan)]
    return f"{zlib.crc32(repr((said, tune)).encode()):08x}"
