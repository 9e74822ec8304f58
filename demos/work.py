"""A composition that tells how far it is and can be stopped; the work is done in a process of its own.

Contents: :class:`Run`, :class:`StoppedError`, :class:`Made`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from demos.limits import MAX_SECONDS, check_request
from muse.composer import WrittenBar
from muse.errors import MuseError
from muse.tasks.telling import Understood

if TYPE_CHECKING:
    from muse.composer import Composition
    from muse.intent import Intent
    from muse.prompts import Parsed
    from muse.tasks.processes import Processes
    from muse.tasks.request import ComposeRequest

__all__ = ["Made", "Run", "StoppedError"]


class StoppedError(MuseError):
    """The composition was stopped, by its visitor or for the time it took."""


@dataclass(frozen=True)
class Made:
    """What became of a request."""

    request: ComposeRequest
    parsed: Parsed | None
    intent: Intent
    piece: Composition


class Run:
    """One composition; starts at once.

    Parameters
    ----------
    request
        What is asked for.
    workers
        Who composes: runs :func:`muse.tasks.telling.compose_telling`.
    seconds
        The composition is stopped when it has taken so long.

    Raises
    ------
    InputError
        The request is too much for the page.
    """

    def __init__(
        self, request: ComposeRequest, workers: Processes[ComposeRequest, Composition], seconds: float = MAX_SECONDS
    ) -> None:
        check_request(request)
        self.request = request
        self.bars = 0
        """Of the piece, 0 as long as that is not known."""
        self.share = 0.0
        """How much is done, 0..1."""
        self.written: list[WrittenBar] = []
        """Bars of the first candidate so far."""
        self._workers = workers
        self._deadline = time.monotonic() + seconds
        self._stopped = threading.Event()
        self._done = threading.Event()
        self._read: tuple[Parsed | None, Intent]
        self._made: Made | None = None
        self._fault: BaseException | None = None
        threading.Thread(target=self._work, daemon=True, name="compose").start()

    def stop(self) -> None:
        """End it at the next note."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Whether it is done after at most so many seconds."""
        return self._done.wait(seconds)

    def result(self) -> Made:
        """What was made.

        Raises
        ------
        StoppedError
            It was stopped.
        MuseError
            What went wrong.
        """
        self._done.wait()
        if self._fault is not None:
            raise self._fault
        assert self._made is not None
        return self._made

    def _work(self) -> None:
        try:
            piece = self._workers.run(self.request, self._hear)
            parsed, intent = self._read
            self._made = Made(self.request, parsed, intent, piece)
        except BaseException as fault:  # told in result(), whatever it is
            self._fault = fault
        finally:
            self._done.set()

    def _hear(self, word: Any) -> None:
        if isinstance(word, Understood):
            self._read = word.parsed, word.intent
            self.bars = word.intent.bars
        elif isinstance(word, WrittenBar):
            if word.candidate == 0:
                self.written.append(word)
        elif word is not None:
            self.share = word
        self._check()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise StoppedError("stopped")
        if time.monotonic() > self._deadline:
            raise StoppedError("this took too long and was stopped: ask for fewer bars or candidates")
