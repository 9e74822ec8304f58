"""Lead sheets: plans as people write them.

A plan (:class:`muse.tokens.plan.Plan`) is read from and written to ABC, MusicXML and JSON without loss, engraved,
played as tune and block chords, and found in music that has none written down.
"""

from muse.sheets.abc import parse_abc, write_abc
from muse.sheets.extract import extract_plan
from muse.sheets.files import PLAN_SUFFIXES, READ_SUFFIXES, read_plan, read_tune, write_plan
from muse.sheets.musicxml import parse_musicxml
from muse.sheets.playing import block_chords

__all__ = [
    "PLAN_SUFFIXES",
    "READ_SUFFIXES",
    "block_chords",
    "extract_plan",
    "parse_abc",
    "parse_musicxml",
    "read_plan",
    "read_tune",
    "write_abc",
    "write_plan",
]
