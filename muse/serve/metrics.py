"""What the service counts, in the text form that Prometheus reads.

Contents: :class:`Metrics`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from muse.serve.jobs import Jobs

__all__ = ["Metrics"]

_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)


class Metrics:
    """Counters of one service; ``muse_`` stands before every name.

    Parameters
    ----------
    jobs
        Whose queue and processes are shown.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._registry = registry = CollectorRegistry()
        labels = ("path", "status")
        self._requests = Counter("muse_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "muse_request_seconds", "From a request's arrival to the end of its answer.", ("path",), registry=registry,
            buckets=_SECONDS,
        )  # fmt: skip
        for name, text, value in (
            ("waiting", "Requests that wait for a process.", lambda: jobs.n_waiting),
            ("running", "Requests that are worked on.", lambda: jobs.n_running),
            ("processes", "Processes that live.", lambda: len(jobs.pids)),
            ("processes_died", "Processes that died over a request.", lambda: jobs.n_died),
        ):
            Gauge(f"muse_{name}", text, registry=registry).set_function(value)
        registry.register(_Steps(jobs))

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` is one of the service's own, so that nobody can make up new ones."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def text(self) -> bytes:
        """All of it, in the text form."""
        return generate_latest(self._registry)


class _Steps(Collector):
    """Steps of the models by the number of pieces whose rows they computed: how well requests fill the batches."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def collect(self) -> Iterator[CounterMetricFamily]:
        """One counter, with a label."""
        text = "Steps of the models, by the number of pieces that were written together in them."
        steps = CounterMetricFamily("muse_steps", text, labels=("pieces",))
        for n_pieces, n_steps in sorted(self._jobs.steps.items()):
            steps.add_metric((str(n_pieces),), n_steps)
        yield steps
