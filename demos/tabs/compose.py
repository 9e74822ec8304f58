"""The tab that composes: what is asked for on the left, what was made of it on the right.

Contents: :func:`build`, :class:`Filling`; :func:`request_of`, :func:`filled`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gradio as gr

from demos import widgets
from demos.limits import MAX_BARS, MAX_CANDIDATES, MAX_CHARACTERS, N_WORKERS
from demos.studio import Studio
from demos.work import Made, Run, StoppedError
from muse.emotion import Emotion, EmotionPath, emotion_words
from muse.errors import InputError, MuseError
from muse.tasks.request import FILES, ComposeRequest
from muse.tasks.uploads import take
from muse.theory import instrument_families
from muse.tokens import GENRES

__all__ = ["Filling", "build", "filled", "request_of"]

log = logging.getLogger(__name__)

_STEP: Final = 0.25
"""How far one 'a little' moves the emotion."""
_TICK_SEC: Final = 0.3
_FIELDS: Final = (
    "text",
    "emotion",
    "tags",
    "genre",
    "instruments",
    "key",
    "tempo",
    "time_signature",
    "bars",
    "candidates",
    "seed",
)
"""Fields of the request that have a control of their own; `instruments` is a list."""


def request_of(plane: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> ComposeRequest:
    """The request that the controls ask for; what is empty is not given.

    Parameters
    ----------
    plane
        Value of the emotion plane; a word goes before it.
    fields
        Values of controls by the request's field names.

    Raises
    ------
    InputError
        A value is not legal.
    """
    given = {name: value for name, value in fields.items() if value not in (None, "", [])}
    given |= {name: _number(name, given[name]) for name in ("bars", "candidates", "seed", "tempo") if name in given}
    points = (plane or {}).get("points") or []
    if not isinstance(points, list) or len(points) > 16:
        raise InputError("the emotion plane has too many points: at most 16")
    if points and "emotion" not in given:
        path = EmotionPath.parse(points)
        if len(path.emotions) == 1:
            given |= {"valence": path.emotions[0].valence, "arousal": path.emotions[0].arousal}
        else:
            given["arc"] = " > ".join(f"{e.valence:g},{e.arousal:g}" for e in path.emotions)
    return ComposeRequest.from_fields(given)


def _number(name: str, value: Any) -> int | float:
    try:
        number = float(value)
        return number if name == "tempo" or number != int(number) else int(number)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} is {str(value)[:40]!r}: give a number") from None


@dataclass(frozen=True)
class _Controls:
    """What a visitor fills in, and what is shown."""

    plane: gr.HTML
    fields: Mapping[str, Any]
    file: gr.File
    hum: gr.Audio
    compose: gr.Button
    stop: gr.Button
    status: gr.HTML
    player: gr.HTML
    told: gr.HTML
    again: tuple[gr.Button, ...]


@dataclass(frozen=True)
class Filling:
    """What fills the controls when the page is opened by a link."""

    function: Callable[..., list[Any]]
    outputs: list[Any]


def build(studio: Studio) -> Filling:
    """Make the tab within the page that is being built."""
    controls = _layout()
    inputs = [controls.plane, controls.file, controls.hum, *controls.fields.values()]
    shown = [controls.status, controls.player, controls.told, controls.plane, controls.stop, *controls.again]
    last = gr.State(None)  # a token, not the piece: Gradio keeps it long after its visitor has gone
    moves = {"another": {}, "happier": {"valence": _STEP}, "calmer": {"arousal": -_STEP}}

    def from_controls(
        request: gr.Request, plane: Any, file: str | None, hum: str | None, *values: Any
    ) -> Iterator[Any]:
        def ask(folder: Path) -> ComposeRequest:
            fields = dict(zip(controls.fields, values, strict=True))
            for slot, kinds in ((file, ("image", "video", "midi", "sound")), (hum, ("sound",))):
                if slot:
                    upload = take(slot, folder, kinds)
                    kind = "hum" if kinds == ("sound",) else upload.kind
                    fields["like" if kind in ("midi", "sound") else kind] = str(upload.path)
            return request_of(plane, fields)

        yield from _composed(studio, ask, str(request.session_hash))

    def from_last(token: str | None, how: str, request: gr.Request) -> Iterator[Any]:
        def ask(folder: Path) -> ComposeRequest:
            made = studio.pieces.get(token) if token else None
            if made is None:
                raise InputError("there is no piece any more to go on from: compose one first")
            asked = _without_files(made)
            if how == "another":
                return replace(asked, seed=made.piece.seed + 1)
            return replace(asked.moved(made.intent, **moves[how]), seed=made.piece.seed)

        yield from _composed(studio, ask, str(request.session_hash))

    busy: dict[str, Any] = {
        "outputs": [*shown, last], "concurrency_id": "work", "concurrency_limit": N_WORKERS, "show_progress": "minimal",
        "show_progress_on": controls.status, "api_visibility": "private",
    }  # fmt: skip
    gr.on([controls.compose.click], from_controls, inputs, **busy)
    for how, button in zip(moves, controls.again, strict=True):
        button.click(from_last, [last, gr.State(how)], **busy)
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

    def stop(request: gr.Request) -> None:
        studio.stop(str(request.session_hash))

    controls.stop.click(stop, None, None, **quick)
    controls.fields["emotion"].input(_place_of, controls.fields["emotion"], controls.plane, **quick)
    controls.plane.input(lambda: None, None, controls.fields["emotion"], **quick)

    def fill(request: gr.Request) -> list[Any]:
        try:
            return [gr.skip(), *filled(request.query_params.get("request"))]
        except MuseError as error:
            return [widgets.fault(str(error)), *[gr.skip()] * (1 + len(controls.fields))]

    return Filling(fill, [controls.status, controls.plane, *(controls.fields[name] for name in _FIELDS)])


def _layout() -> _Controls:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=320):
            plane = widgets.emotion_plane("plane")
            fields: dict[str, Any] = {
                "text": gr.Textbox(
                    label="In words", placeholder="a bittersweet farewell, slow strings, 3/4", lines=2,
                    max_length=MAX_CHARACTERS, elem_id="text",
                ),
                "emotion": gr.Dropdown(
                    sorted(emotion_words()), label="Emotion word", value=None, allow_custom_value=True, elem_id="word"
                ),
            }  # fmt: skip
            with gr.Row():
                compose = gr.Button("Compose", variant="primary", elem_id="compose", min_width=120)
                stop = gr.Button("Stop", interactive=False, elem_id="stop", min_width=80)
            status = gr.HTML(_HINT, elem_id="status")
            with gr.Accordion("More: music, pictures, humming", open=False, elem_id="more"):
                fields |= _music_fields()
                file = gr.File(
                    label="A picture, a video, a MIDI file or a recording to take after",
                    type="filepath", elem_id="file",
                )  # fmt: skip
                hum = gr.Audio(
                    label="Hum a tune", sources=["microphone", "upload"], type="filepath", editable=False,
                    buttons=["download"], elem_id="hum",
                )  # fmt: skip
        with gr.Column(scale=3, min_width=320):
            player = widgets.player("player")
            with gr.Row():
                again = tuple(
                    gr.Button(name, visible=False, min_width=90, size="sm", elem_id=name.rsplit(" ", 1)[-1])
                    for name in ("Another one", "A little happier", "A little calmer")
                )
            told = gr.HTML(elem_id="told")
    return _Controls(plane, fields, file, hum, compose, stop, status, player, told, again)


_HINT: Final = "<p>Click on the plane, or say in words what you want to hear; then press <b>Compose</b>.</p>"


def _music_fields() -> dict[str, Any]:
    fields: dict[str, Any] = {"tags": gr.Textbox(label="Tags", placeholder="sad:0.7, epic", max_length=MAX_CHARACTERS)}
    with gr.Row():
        fields["genre"] = gr.Dropdown([("any", ""), *((name, name) for name in GENRES)], value="", label="Genre")
        fields["key"] = gr.Textbox(label="Key", placeholder="Am", max_length=20)
    fields["instruments"] = gr.Dropdown(
        sorted(instrument_families()), value=[], label="Instruments", multiselect=True, allow_custom_value=True
    )
    with gr.Row():
        # A number field of Gradio has no way to be empty: it gives 0.
        fields["tempo"] = gr.Textbox(label="Tempo (BPM)", placeholder="96", max_length=10)
        fields["time_signature"] = gr.Textbox(label="Meter", placeholder="4/4", max_length=10)
    with gr.Row():
        # Empty, so that words or the length of a video may say it.
        fields["bars"] = gr.Textbox(label=f"Bars (up to {MAX_BARS})", placeholder="16", max_length=10, elem_id="bars")
        fields["candidates"] = gr.Slider(
            1, MAX_CANDIDATES, value=2, step=1, label="Candidates", elem_id="candidates"
        )  # fmt: skip
    fields["seed"] = gr.Textbox(label="Seed", placeholder="any", max_length=20, elem_id="seed")
    return fields


def _place_of(word: str | None) -> Any:
    """The plane with the place of a word, as far as it is one."""
    try:
        point = Emotion.parse(word or "")
    except InputError:
        return gr.skip()
    return {"points": [[point.valence, point.arousal]], "heard": None}


def filled(query: str | None) -> list[Any]:
    """Values for the plane and the controls from the query of a link; faults leave a control as it is.

    Raises
    ------
    InputError
        The link is none of ours.
    """
    try:
        document = json.loads(query or "{}")
    except (ValueError, RecursionError):
        raise InputError("the link is broken: it holds no request") from None
    if not isinstance(document, dict) or set(document) & set(FILES):
        raise InputError("the link is broken: it holds no request that this page makes")
    request = ComposeRequest.from_fields(document)
    values = []
    points: Any = gr.skip()
    if request.valence is not None:
        points = {"points": [[request.valence, request.arousal]], "heard": None}
    elif request.arc is not None:
        path = EmotionPath.parse(request.arc)
        points = {"points": [[e.valence, e.arousal] for e in path.emotions], "heard": None}
    for name in _FIELDS:
        value = document.get(name)
        if name == "instruments" and isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if name in ("tempo", "seed", "bars") and value is not None:
            value = f"{value:g}" if name == "tempo" else str(value)
        values.append(gr.skip() if value is None else value)
    return [points, *values]


def _without_files(made: Made) -> ComposeRequest:
    """The request with its files replaced by what they were understood as; uploads are deleted after each request."""
    request = made.request
    if not any(getattr(request, name) is not None for name in FILES):
        return request
    intent = made.intent.to_dict()
    fields = {
        name: intent[key]
        for name, key in (
            ("genre", "genre"), ("key", "key"), ("tempo", "tempo_bpm"), ("time_signature", "time_signature"),
            ("instruments", "instruments"), ("bars", "bars"), ("attributes", "attributes"),
        )
        if intent[key]
    }  # fmt: skip
    plain = ComposeRequest(**fields, candidates=request.candidates, seed=request.seed)
    return plain.moved(made.intent)


def _composed(studio: Studio, ask: Callable[[Path], ComposeRequest], session: str) -> Iterator[list[Any]]:
    """What is shown while a request is worked on, and then of the piece; see `shown` in :func:`build` for the order."""
    idle = [gr.update(interactive=False)]
    kept: list[Any] = [gr.skip()] * 3  # player, told, plane
    n_again = 3
    buttons: list[Any] = [gr.skip()] * n_again
    with studio.pieces.uploads() as folder:
        try:
            run = Run(ask(folder), studio.workers)
        except MuseError as error:
            yield [widgets.fault(str(error)), *kept, *idle, *buttons, gr.skip()]
            return
        studio.begin(session, run)
        try:
            n_shown = 0
            while not run.wait(_TICK_SEC):
                bars = list(run.written)
                roll = widgets.shown_bars(bars) if len(bars) > n_shown else gr.skip()
                n_shown = len(bars)
                yield [_how_far(run), roll, *kept[1:], gr.update(interactive=True), *buttons, gr.skip()]
            made = run.result()
        except StoppedError as stopped:
            yield [widgets.fault(str(stopped).capitalize()), *kept, *idle, *buttons, gr.skip()]
            return
        except MuseError as error:
            yield [widgets.fault(studio.without_paths(str(error))), *kept, *idle, *buttons, gr.skip()]
            return
        except Exception:
            log.exception("a composition failed")
            yield [widgets.fault("This failed, and it is our fault; try again."), *kept, *idle, *buttons, gr.skip()]
            return
        finally:
            run.stop()  # nobody waits for it any more, whatever ended this
            studio.end(session, run)
    token = studio.pieces.add(made, session)
    again = [gr.update(visible=True)] * n_again
    yield ["", widgets.shown_piece(made, token), _told(made), _plane_of(made), *idle, *again, token]


def _how_far(run: Run) -> str:
    if not run.bars:
        return widgets.progress("reading what you want …", 0.0)
    n = run.request.candidates
    bar = min(run.bars, int(run.share * run.bars) + 1)
    who = "one candidate" if n == 1 else f"{n} candidates at once"
    text = f"writing bar {bar} of {run.bars}, {who}" if run.share < 1 else "measuring and choosing …"
    return widgets.progress(text, run.share)


def _plane_of(made: Made) -> dict[str, Any]:
    path, ratings = made.intent.emotion, made.piece.best.ratings
    return {
        "points": [] if path is None else [[e.valence, e.arousal] for e in path.emotions],
        "heard": None if ratings is None else [ratings.emotion.valence, ratings.emotion.arousal],
    }


def _told(made: Made) -> str:
    piece = made.piece
    verdict = piece.verdict()
    rows = [(name, asked, measured) for name, asked, measured, _ in piece.asked_and_measured()]
    evidence = [(row.field, str(row)) for row in made.parsed.evidence] if made.parsed else []
    return widgets.told([
        ("Heard", widgets.sentence(verdict.sentence()) if verdict else ""),
        ("Why", piece.explanation.sentence() if piece.explanation else ""),
        ("Asked", f"{made.intent.in_words()}. {' '.join(piece.brief.remarks)}".strip()),
        ("Understood from what you gave", widgets.table(("about", "evidence"), evidence) if evidence else ""),
        ("Asked against measured", widgets.table(("attribute", "asked", "measured"), rows) if rows else ""),
    ])  # fmt: skip
