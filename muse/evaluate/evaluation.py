"""The whole evaluation: a composer beside people and beside simpler systems, or a folder of MIDI files beside people.

Every system answers the same requests (so many pieces for each quadrant, the same seeds), and everything is measured on
all of them in the same way, so a figure never stands alone:

==============  =======================================================================================
``human``       windows of songs that neither generator nor selector learnt from
``muse``        the composer at default settings
``one``         one candidate instead of four: nothing is chosen
``best``        many candidates, see :attr:`EvaluationSettings.best_of`
``free``        the generator without any control
``emogen``      the generator, controlled by EmoGen's binarised mapping
``ngram``       5-grams in the place of planner and arranger, without any control
``folder``      the files of a folder, in its evaluation
==============  =======================================================================================

In the documents None stands for what is undefined, as JSON has no NaN.

How far the composer's music is from people's (:mod:`muse.evaluate.musicality`) is a part of its evaluation, and can be
measured by itself.

What is finished is kept until the report is written (:mod:`muse.evaluate.kept`): an evaluation that was killed and is
started again in the same way, of the same composer and files, goes on where it was and ends with the same report.

Contents: :func:`evaluate_composer`, :func:`evaluate_music`, :func:`evaluate_folder`, :class:`EvaluationSettings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from muse.dataset.lead_sheets import Sheet
from muse.dataset.read import Corpus
from muse.evaluate.compare import N_ATTACKS, STEPS_PER_SYSTEM, Reference, compare_choice, compare_systems
from muse.evaluate.control import AskedPiece, ControlSettings, measure_control
from muse.evaluate.judges import JudgeLike, fit_judges, read_emopia, scorecard
from muse.evaluate.kept import FOLDER, PIECES_FOLDER, Kept, Piece, depends_on
from muse.evaluate.metrics.originality import CopyIndex
from muse.evaluate.musicality import MusicSettings, measure_music, music_goals
from muse.evaluate.progress import Progress, Steps
from muse.evaluate.reports import write_report
from muse.evaluate.systems.composed import Requests, composed, free_pieces
from muse.evaluate.systems.emogen import emogen_intent
from muse.evaluate.systems.folder import read_folder
from muse.evaluate.systems.human import held_out_music
from muse.evaluate.systems.maker import fingerprint, from_composer, from_stages
from muse.evaluate.systems.ngram import NGramStages
from muse.evaluate.systems.people import read_pop909
from muse.evaluate.systems.system import System
from muse.files import plain, read_json
from muse.selector import Selector

if TYPE_CHECKING:
    from muse.composer import Composer
    from muse.intent import Intent

__all__ = ["EvaluationSettings", "evaluate_composer", "evaluate_folder", "evaluate_music"]

N_REFERENCE = 256
"""Windows of the reference; half as many where there are not enough."""
N_HUMAN = 64
"""Windows of people's music beside a folder; beside a composer as many as its pieces."""
N_COMPOSED = 5
"""Systems for which pieces are composed: all but people's, and the composer's own, which control was measured on."""
STEPS_OF_INDEX = 80
"""Steps of progress that the n-gram models and the index of copies count for."""
STEPS_OF_JUDGES = 60
"""Steps of progress that judges and index count for beside a folder."""
DIGITS = 5
"""Decimals of the figures in a document."""


@dataclass(frozen=True)
class EvaluationSettings(ControlSettings):
    """What is measured, and on how much music; `n_pieces` and `bars` hold for every system."""

    best_of: int = 16
    """Candidates of the system ``best``."""
    n_reference: int = N_REFERENCE
    """Windows of the reference."""
    music: MusicSettings | None = field(default_factory=MusicSettings)
    """How far from people's music; None leaves it out."""

    @classmethod
    def quick(cls) -> EvaluationSettings:
        """A little of everything, to see what is far off."""
        return cls(
            n_pieces=4, n_grid=3, n_checked=20, n_folds=0, alone=False, best_of=4, n_reference=64,
            music=MusicSettings.quick(),
        )  # fmt: skip


def evaluate_composer(
    composer: Composer,
    corpora: str | Path,
    dataset: str | Path,
    out: str | Path,
    settings: EvaluationSettings | None = None,
    *,
    weights: Iterable[str | Path] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate a composer and write ``evaluation.html``, ``evaluation.md``, ``evaluation.json`` and charts.

    Parameters
    ----------
    composer
        Asked with its default settings but where a system says otherwise.
    corpora
        Folder with ``emopia-nc`` and ``vgmidi-unclear``, from which the judges learn, and ``pop909``, people's songs,
        from which 5-grams are counted.
    dataset
        What ``muse corpus build`` made of the music that the generator learnt from: its training windows are what a
        piece could have copied, its held-out windows are the reference.
    out
        Folder of the report, made if absent.
    settings
        Numbers of pieces and so on.
    weights
        Checkpoints of the composer, so that what was kept of others is not taken for its; default: those that its
        versions name.
    progress
        Called with (done, total).

    Returns
    -------
    dict
        What stands in ``evaluation.json``.

    Raises
    ------
    InputError
        A corpus or the dataset is missing, or has too little held-out music.
    """
    settings = settings or EvaluationSettings()
    corpus, requests = Corpus(dataset), Requests(settings.n_pieces, settings.bars)
    n_each = 4 * settings.n_pieces
    weights = list(_weights(composer) if weights is None else weights)
    kept = _kept(out, ("composer", settings), weights, corpora, corpus)
    people, human = held_out_music(corpus, settings.n_reference, n_each)
    sheets = read_pop909(corpora)
    steps, judges = Steps(progress), fit_judges(corpora, composer.selector)
    more_steps = N_COMPOSED * n_each + (N_COMPOSED + 2) * STEPS_PER_SYSTEM + STEPS_OF_INDEX
    more_steps += settings.music.n_steps if settings.music else 0
    control, pieces = measure_control(
        composer, corpora, settings, judges=judges, steps=steps, more_steps=more_steps, kept=kept
    )

    def by_emogen(quadrant: int) -> Intent:
        return emogen_intent(quadrant, settings.bars, composer.controls)

    ngram = NGramStages.fit(sheets["train"])
    reference = Reference(people, CopyIndex.cached(corpus), judges, composer.selector)
    steps.tick(STEPS_OF_INDEX)
    systems = {
        "human": human,
        "muse": _from_pieces(pieces),
        "one": composed("one", composer, requests, requests.quadrant, 1, kept, steps),
        "best": composed("best", composer, requests, requests.quadrant, settings.best_of, kept, steps),
        "free": composed("free", composer, requests, requests.free, 1, kept, steps),
        "emogen": composed("emogen", composer, requests, by_emogen, 1, kept, steps),
        "ngram": free_pieces("ngram", from_stages(ngram.stages()), requests, kept, steps),
    }
    document = {"kind": "composer", **control}
    if settings.music:
        known = {(p.intent, p.seed): p.piece for p in pieces}
        document |= _music(composer, sheets, ngram, out, settings.music, weights, kept, steps, known)
    document["settings"] |= {"best_of": settings.best_of, "n_reference": len(people.scores), "n_attacks": N_ATTACKS}
    document |= compare_systems(systems, reference, kept, steps)
    document["ngram_nats_per_token"] = ngram.nats_per_token(sheets["held_out"])
    document["best_of"] = kept.section("best-of", lambda: compare_choice(systems["one"], systems["best"], reference))
    return _finish(document, out, kept)


def evaluate_music(
    composer: Composer,
    corpora: str | Path,
    out: str | Path,
    settings: MusicSettings | None = None,
    *,
    weights: Iterable[str | Path] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how far a composer's music is from people's, and write the report of that alone.

    Parameters
    ----------
    composer, out, weights, progress
        As :func:`evaluate_composer` takes them. What has been composed stays in `out`, in a
        hidden folder, and is not composed again.
    corpora
        Folder with ``pop909``.
    settings
        Numbers of pieces.

    Raises
    ------
    InputError
        There is no ``pop909``.
    """
    settings = settings or MusicSettings()
    weights = list(_weights(composer) if weights is None else weights)
    kept = _kept(out, ("music", settings), weights, corpora)
    document = {"kind": "music", "settings": {"versions": dict(composer.versions)}}
    sheets = read_pop909(corpora)
    ngram, steps = NGramStages.fit(sheets["train"]), Steps(progress, settings.n_steps)
    document |= _music(composer, sheets, ngram, out, settings, weights, kept, steps, {})
    return _finish(document, out, kept)


def _music(
    composer: Composer,
    sheets: Mapping[str, list[Sheet]],
    ngram: NGramStages,
    out: str | Path,
    settings: MusicSettings,
    weights: Sequence[str | Path],
    kept: Kept,
    steps: Steps,
    known: Mapping[tuple[Intent, int], Piece],
) -> dict[str, Any]:
    """The part on music, its goals, and what earlier composers reached."""
    music = measure_music(
        from_composer(composer, known),
        composer.stages,
        sheets,
        out,
        settings,
        baseline=ngram.stages(),
        unchosen=from_composer(composer, n_candidates=1),
        pieces=Kept(Path(out) / PIECES_FOLDER, fingerprint(weights)),
        kept=kept,
        steps=steps,
    )
    history = read_json(Path(str(files("muse.evaluate") / "history.json")))
    return {"music": music, "music_goals": music_goals(music), "history": history}


def evaluate_folder(
    folder: str | Path,
    corpora: str | Path,
    dataset: str | Path,
    out: str | Path,
    *,
    selector: Selector | None = None,
    weights: Iterable[str | Path] = (),
    n_reference: int = N_REFERENCE,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Evaluate MIDI files that anyone made, and write the report.

    A file whose path says ``Q1`` .. ``Q4`` (``Q3_0.mid``, ``out/Q3/0.mid``) was asked for that quadrant. Files that
    cannot be read count as failures.

    Parameters
    ----------
    folder
        Searched for ``.mid`` and ``.midi``.
    corpora, dataset, out, progress
        As :func:`evaluate_composer` takes them.
    selector
        Rates the pieces; None leaves the selector's figures out.
    weights
        Its checkpoint, so that what was kept of another is not taken for its.
    n_reference
        Windows of the reference.

    Raises
    ------
    InputError
        Fewer than three readable files, or a corpus or the dataset is missing.
    """
    found = read_folder(folder)
    corpus = Corpus(dataset)
    kept = _kept(out, ("folder", n_reference, selector is None), weights, corpora, corpus, folder)
    people, human = held_out_music(corpus, n_reference, N_HUMAN)
    steps = Steps(progress, 2 * STEPS_PER_SYSTEM + STEPS_OF_JUDGES)
    judges = fit_judges(corpora, selector)
    reference = Reference(people, CopyIndex.cached(corpus), judges, selector)
    steps.tick(STEPS_OF_JUDGES)
    document: dict[str, Any] = {
        "kind": "folder",
        "settings": {"folder": Path(folder).name, "n_files": found.n_files, "n_reference": len(people.scores)},
        "broken": found.broken,
        "judges": kept.section("judges", lambda: _validation(judges, corpora)),
    }
    document |= compare_systems({"human": human, "folder": found.system}, reference, kept, steps)
    return _finish(document, out, kept)


def _weights(composer: Composer) -> Iterable[str]:
    return (name for role, name in composer.versions.items() if role != "muse")


def _kept(
    out: str | Path,
    settings: Any,
    weights: Iterable[str | Path],
    corpora: str | Path,
    corpus: Corpus | None = None,
    *folders: str | Path,
) -> Kept:
    """What an earlier run of the same evaluation has finished."""
    labelled = (Path(corpora) / name for name in ("emopia-nc", "vgmidi-unclear", "pop909"))
    others = () if corpus is None else (str(corpus.info["digest"]),)
    return Kept(Path(out) / FOLDER, depends_on(settings, weights=weights, folders=(*labelled, *folders), others=others))


def _from_pieces(pieces: Sequence[AskedPiece]) -> System:
    """The pieces that control was measured on."""
    system = System()
    for piece in pieces:
        system.add(piece.piece.score, int(piece.asked), piece.intent, piece.piece.seconds)
    return system


def _validation(judges: dict[str, JudgeLike], corpora: str | Path) -> dict[str, Any]:
    """How often each judge is right about human clips that it has never met."""
    val = read_emopia(corpora, "val")
    return {
        name: {"name": judge.name, "validation": scorecard(judge.predict_proba(val.source), val)}
        for name, judge in judges.items()
    }


def _finish(document: dict[str, Any], out: str | Path, kept: Kept) -> dict[str, Any]:
    """The document in JSON's types, its report written."""
    cleaned: dict[str, Any] = _rounded(plain(document))
    write_report(cleaned, out)
    kept.forget()
    return cleaned


def _rounded(value: Any) -> Any:
    """The same document with as many decimals as matter."""
    if isinstance(value, dict):
        return {name: _rounded(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return round(value, DIGITS) if isinstance(value, float) else value
