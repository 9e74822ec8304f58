"""What all tabs of the page share: models loaded once, pieces, and who is being worked for.

Contents: :class:`Studio`.
"""

from __future__ import annotations

import re
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from demos.limits import N_WORKERS
from demos.pieces import Pieces
from muse.tasks.analyze import Analyzer
from muse.tasks.processes import Processes
from muse.tasks.telling import compose_telling, load

if TYPE_CHECKING:
    from demos.work import Run
    from muse.recognizer import Recognizer

__all__ = ["Studio"]


class Studio:
    """Shared by all visitors; models are loaded when they are first needed."""

    def __init__(self) -> None:
        self.pieces = Pieces()
        self.workers = Processes(N_WORKERS, compose_telling, prepare=load)
        self.analyzer = Analyzer()
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def recognizer(self) -> Recognizer:
        """The recogniser that comes with Muse."""
        with self._loading:
            return self._recognizer

    @cached_property
    def _recognizer(self) -> Recognizer:
        from muse.recognizer import Recognizer

        return Recognizer.from_pretrained()

    def begin(self, session: str, run: Run) -> None:
        """A visitor's request is worked on."""
        with self._lock:
            self._runs[session] = run

    def end(self, session: str, run: Run) -> None:
        """It is not any more."""
        with self._lock:
            if self._runs.get(session) is run:
                del self._runs[session]

    def stop(self, session: str) -> None:
        """Stop what is being worked on for a visitor."""
        with self._lock:
            run = self._runs.get(session)
        if run is not None:
            run.stop()

    def leave(self, session: str) -> None:
        """A visitor has gone: stop the work and delete the files."""
        self.stop(session)
        self.pieces.forget(session)

    def close(self) -> None:
        """Nobody comes any more: end the work and delete everything."""
        self.workers.close()
        self.pieces.close()

    @property
    def n_running(self) -> int:
        """Requests that are being worked on."""
        with self._lock:
            return len(self._runs)

    def without_paths(self, message: str) -> str:
        """A message of the library without the paths of this machine."""
        return re.sub(rf"{re.escape(str(self.pieces.folder))}\S*?upload-\d+\.\w+", "the file", message)
