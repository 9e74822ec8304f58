"""Pieces that were made for visitors, kept for a while and written in any format when somebody asks for it.

Conventions
-----------
token
    Names a piece in addresses. It cannot be guessed: who has it may fetch the piece.
file name
    ``<candidate>.<ending>``, candidates counted from 1 in the order of merit; nothing else is a file.

Contents: :class:`Pieces`.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from demos.limits import KEEP_SEC, MAX_KEPT
from muse.files import write_json
from muse.tasks.formats import ENDINGS

if TYPE_CHECKING:
    from demos.work import Made

__all__ = ["Pieces"]

_NAME: Final = re.compile(r"([1-9]\d{0,2})\.([a-z]+)")


@dataclass
class _Kept:
    made: Made
    session: str
    folder: Path
    until: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Pieces:
    """The pieces of all visitors; safe to share by threads.

    Parameters
    ----------
    keep_sec
        Seconds after which a piece is deleted.
    max_kept
        Pieces kept at most; the oldest go first.
    """

    def __init__(self, *, keep_sec: float = KEEP_SEC, max_kept: int = MAX_KEPT) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="muse-page-"))
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._keep_sec, self._max_kept = keep_sec, max_kept

    def add(self, made: Made, session: str) -> str:
        """Keep a piece of a visitor; gives its token."""
        token = secrets.token_urlsafe(16)
        folder = self.folder / token
        folder.mkdir()
        with self._lock:
            self._kept[token] = _Kept(made, session, folder, time.monotonic() + self._keep_sec)
        self._tidy()
        return token

    def get(self, token: str) -> Made | None:
        """What was made under a token; None where it is gone or never was."""
        with self._lock:
            kept = self._kept.get(token)
        return kept.made if kept and kept.until > time.monotonic() else None

    def file(self, token: str, name: str) -> Path | None:
        """A candidate in a format, written if it is the first time; None where there is no such piece or format.

        Raises
        ------
        InputError
            The piece cannot be written in this format.
        """
        with self._lock:
            kept = self._kept.get(token)
        found = _NAME.fullmatch(name)
        if kept is None or kept.until <= time.monotonic() or found is None or found[2] not in ENDINGS:
            return None
        place = int(found[1]) - 1
        if place >= len(kept.made.piece.candidates):
            return None
        path = kept.folder / name
        with kept.lock:
            if not path.is_file():
                _write(kept.made, place, path)
        return path

    @contextmanager
    def uploads(self) -> Iterator[Path]:
        """A folder for the files of one request; deleted after it."""
        folder = Path(tempfile.mkdtemp(dir=self.folder, prefix="request-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def forget(self, session: str) -> None:
        """Delete all pieces of a visitor."""
        with self._lock:
            gone = [token for token, kept in self._kept.items() if kept.session == session]
            for token in gone:
                self._drop(token)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            self._kept.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def _tidy(self) -> None:
        now = time.monotonic()
        with self._lock:
            for token in [token for token, kept in self._kept.items() if kept.until <= now]:
                self._drop(token)
            while len(self._kept) > self._max_kept:
                self._drop(next(iter(self._kept)))

    def _drop(self, token: str) -> None:
        shutil.rmtree(self._kept.pop(token).folder, ignore_errors=True)


def _write(made: Made, place: int, path: Path) -> None:
    piece = made.piece
    # The explanation is of the best candidate alone.
    chosen = replace(piece, candidates=(piece.candidates[place],), explanation=None) if place else piece
    if path.suffix == ".json":
        write_json(chosen.to_json(), path)
    elif path.suffix == ".mid":
        # The text event says what makes all candidates again, and which of them this is.
        from muse.score import write_score

        origin = {**piece.origin(), "candidate": place + 1}
        write_score(chosen.best.score, path, text=json.dumps(origin, ensure_ascii=False, sort_keys=True))
    else:
        chosen.save(path)
