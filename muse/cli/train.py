"""``muse train``: fit the mapping, train planner, arranger, selector, recogniser or what reads prompts."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from muse.cli.output import (
    ArrangerOption,
    ConfigOption,
    JsonOption,
    PlannerOption,
    given,
    group,
    print_document,
    print_json,
    progress_bar,
    read_config,
)

__all__ = ["app"]

app = group("Fit the emotion mapping, train planner, arranger, selector, recogniser or what reads prompts.")

OutputOption = Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint.")]
ResumedOutputOption = Annotated[
    str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint; an old run is resumed.")
]
StepsOption = Annotated[int | None, typer.Option(metavar="N", help="Optimizer steps.")]
MinutesOption = Annotated[float | None, typer.Option(metavar="M", help="Stop after M minutes; resumable.")]
SeedOption = Annotated[int | None, typer.Option(metavar="N", min=0, help="Seed of everything random.")]
InitOption = Annotated[str | None, typer.Option(metavar="NAME|DIR", help="Checkpoint to begin from.")]
ResumeOption = Annotated[bool, typer.Option("--resume/--restart", help="Go on with an unfinished run, or forget it.")]
DataArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR...",
        help="Folders of datasets, named after them: emotify, emopia, vgmidi, memomusic, mtg-jamendo, deam, pmemo or "
        "emomusic.",
    ),
]
SelectorCorporaArgument = Annotated[
    str, typer.Argument(metavar="CORPORA", help="Folder with emopia-nc; to fit the experts also vgmidi-unclear.")
]
MatrixCorporaArgument = Annotated[
    str, typer.Argument(metavar="CORPORA", help="Folder with emopia-nc and vgmidi-unclear.")
]
ChordsOption = Annotated[str, typer.Option(metavar="DIR", help="Folder of POP909, to learn chords and keys from.")]
CacheOption = Annotated[
    str, typer.Option(metavar="DIR", help="Folder of intermediate results; an interrupted run goes on from it.")
]
SoundfontsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DIR", help="Folder that soundfonts lie in or below, beside the system's; repeatable."),
]
RenderingsOption = Annotated[int, typer.Option(metavar="N", min=1, help="Takes of each piece and kind of condition.")]
RenderingMinutesOption = Annotated[
    float | None,
    typer.Option(metavar="M", min=0, help="Render for M minutes, then go on with what there is; all if not given."),
]
EncoderOption = Annotated[
    str, typer.Option(metavar="NAME|DIR", help="musicnn, a folder of MERT, or a MERT of the hub (m-a-p/MERT-v1-95M).")
]


def _print(document: Mapping[str, Any], as_json: bool) -> None:
    """What came out, said once however many processes trained."""
    from muse.training.loop import is_first_process

    if is_first_process():
        print_document(document, as_json)


@app.command("mapping")
def train_mapping(
    corpora: Annotated[
        list[str],
        typer.Argument(metavar="SRC...", help="Folder of the corpora, or folders of single ones: EMOPIA, VGMIDI ..."),
    ],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the tables and the report.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the emotion mapping on labelled corpora and write its tables and report."""
    from muse.training.mapping.fit import fit_mapping

    options = read_config(config, fit_mapping, taken=("corpora", "output", "progress"))
    with progress_bar("fitting") as progress:
        document = fit_mapping(corpora, output, progress=progress, **options)
    print_document(document, as_json)


def _language_model(kind: str, text: str) -> None:
    """The command that trains one of the two models that compose."""

    @app.command(kind, help=text)
    def command(
        sheets: Annotated[str, typer.Argument(metavar="DIR", help="Folder that `muse corpus lead-sheets` made.")],
        output: ResumedOutputOption,
        size: Annotated[
            str | None,
            typer.Option(metavar="NAME", help="micro, tiny, mini, small or base; with --init that of its weights."),
        ] = None,
        minutes: Annotated[
            float | None, typer.Option(metavar="M", min=0, help="Length of the run: the rates fall to zero by then.")
        ] = None,
        steps: Annotated[int | None, typer.Option(metavar="N", min=0, help="Length in steps, not in minutes.")] = None,
        seed: SeedOption = None,
        init: InitOption = None,
        devices: Annotated[
            str, typer.Option(metavar="N|auto", help="Processes, one a graphics card, or N on a CPU.")
        ] = "auto",
        nodes: Annotated[int, typer.Option(metavar="N", min=1, help="Machines; see docs/training.md.")] = 1,
        strategy: Annotated[
            str, typer.Option(metavar="NAME", help="Of several processes: ddp, or fsdp, which shares weights out.")
        ] = "ddp",
        resume: ResumeOption = True,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        from muse.training import lead_sheets

        train = lead_sheets.train_planner if kind == "planner" else lead_sheets.train_arranger
        parts = read_config(config, train, taken=("folder", "out", "call"))
        run = {**parts.get("run", {}), **given(size=size, minutes=minutes, seed=seed, start_from=init)}
        if steps is not None or minutes is not None:
            run["max_steps"] = steps or 0
        with contextlib.redirect_stdout(sys.stderr):  # Lightning's bar and tables
            document = train(
                sheets, output, windows={**parts.get("windows", {}), **given(seed=seed)}, run=run, devices=devices,
                nodes=nodes, strategy=strategy, resume=resume, progress=sys.stderr.isatty(),
            )  # fmt: skip
        _print(document, as_json)


_language_model("planner", "Train what writes lead sheets: chords, tune and form.")
_language_model("arranger", "Train what writes, for each instrument, the notes that it plays to a lead sheet.")


@app.command("samples")
def train_samples(
    corpus: Annotated[str, typer.Argument(metavar="DIR", help="Dataset that the generator learnt from.")],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the samples; an old run is resumed.")
    ],
    planner: PlannerOption = None,
    arranger: ArrangerOption = None,
    split: Annotated[str | None, typer.Option(metavar="NAME", help="train, val or test.")] = None,
    windows: Annotated[int | None, typer.Option(metavar="N", help="Real windows to compose beside.")] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Same seed, same samples.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compose beside real windows, from which the selector learns to tell one from the other."""
    from muse.dataset.read import Corpus
    from muse.training.selector.samples import write_samples

    options = given(planner=planner, arranger=arranger, split=split, n_windows=windows, seed=seed)
    with progress_bar("composing") as progress:
        n = write_samples(Corpus(corpus), output, progress=progress, **options)
    print_document({"output": output, "samples": n}, as_json)


@app.command("selector")
def train_selector(
    corpus: Annotated[str, typer.Argument(metavar="DIR", help="Dataset of all corpora.")],
    output: ResumedOutputOption,
    samples: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Samples by `muse train samples`; repeatable, early stages of training last."),
    ] = None,
    corpora: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder with emopia-nc and vgmidi-unclear, for the experts.")
    ] = None,
    init: InitOption = None,
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    seed: SeedOption = None,
    resume: ResumeOption = True,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the selector: masked events first, then quality, emotion and genre from those weights."""
    from muse.training.selector.calibrate import calibrate
    from muse.training.selector.fit import train
    from muse.training.selector.samples import read_samples
    from muse.training.selector.settings import Settings

    options = read_config(config, Settings) | given(init=init, max_steps=steps, max_minutes=minutes, seed=seed)
    drawn = [(stage, sample) for stage, folder in enumerate(samples or []) for sample in read_samples(folder)]
    pairs = [((stage, sample.rank), sample.ids) for stage, sample in drawn if not sample.is_kept]
    with contextlib.redirect_stdout(sys.stderr):  # Lightning's bar and tables
        document = train(corpus, output, samples=pairs, resume=resume, progress=sys.stderr.isatty(), **options)
    if "masked" not in options.get("tasks", ()):
        calibrate(output, corpus, [sample for _, sample in drawn], corpora)
    print_document(document, as_json)


@app.command("selector-experts")
def train_selector_experts(
    corpora: SelectorCorporaArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Checkpoint of the selector.")],
    as_json: JsonOption = False,
) -> None:
    """Fit a trained selector's experts on emotion anew, and how far to trust them and its network."""
    from muse.training.selector.calibrate import fit_emotion

    print_document(fit_emotion(output, corpora).to_json(), as_json)


@app.command("selector-form")
def train_selector_form(
    corpus: Annotated[str, typer.Argument(metavar="DIR", help="Dataset that the selector learnt from.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Checkpoint of the selector.")],
    samples: Annotated[
        list[str] | None, typer.Option(metavar="DIR", help="Samples by `muse train samples`; repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a trained selector's expert on form anew, and how far to trust it and the network in quality."""
    from muse.training.selector.calibrate import fit_quality
    from muse.training.selector.samples import read_samples

    drawn = [sample for folder in samples or [] for sample in read_samples(folder)]
    print_document(fit_quality(output, corpus, drawn).to_json(), as_json)


@app.command("selector-report")
def train_selector_report(
    corpora: SelectorCorporaArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report.")],
    selector: Annotated[
        str | None, typer.Option(metavar="NAME|DIR", help="Measure its network together with the experts, too.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure quadrants from MIDI by nested cross-validation over songs, every choice made inside."""
    from muse.evaluate.selector import emotion_across_songs
    from muse.files import write_json
    from muse.selector import Selector

    rated_by = None if selector is None else Selector.from_pretrained(selector)
    with progress_bar("measuring the selector") as progress:
        document = emotion_across_songs(corpora, rated_by, progress=progress)
    write_json(document, Path(output) / "selector-emotion.json")
    print_document(document, as_json)


@app.command("recognizer")
def train_recognizer_command(
    data: DataArgument,
    output: OutputOption,
    chords: ChordsOption,
    cache: CacheOption = "runs/recognizer",
    encoder: EncoderOption = "musicnn",
    other: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Folder of sounds that are no music (speech), beside the noise that is made."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Train the recogniser of sound on labelled recordings and rendered MIDI."""
    from muse.training.recognizer.config import RecognizerConfig
    from muse.training.recognizer.train import train_recognizer

    settings = RecognizerConfig(**read_config(config, RecognizerConfig))
    with progress_bar("training the recogniser") as progress:
        report = train_recognizer(
            data, chords, output, cache=cache, other=other or (), encoder=encoder, config=settings, progress=progress
        )
    print_json(report)


@app.command("gate")
def train_gate(
    music: Annotated[list[str], typer.Argument(metavar="DIR...", help="Folders of music, sound or MIDI files.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Checkpoint of the recogniser.")],
    other: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Folder of other sounds (speech), beside the noise that is made; repeatable."),
    ] = None,
    takes: Annotated[int, typer.Option(metavar="N", min=5, help="Recordings, as many scores and tunes.")] = 200,
    noises: Annotated[int, typer.Option(metavar="N", min=1, help="Takes of each kind of noise that is made.")] = 27,
    cache: CacheOption = "runs/recognizer",
    encoder: EncoderOption = "musicnn",
    as_json: JsonOption = False,
) -> None:
    """Fit the recogniser's gate, which tells music from other sound, each kind of sound left out once, and write it."""
    from muse.files import write_json
    from muse.recognizer.encoders.load import open_encoder
    from muse.recognizer.heads.gate import GATE_FOLDER
    from muse.training.recognizer.gate import fit_gate
    from muse.training.recognizer.gate_takes import hear_takes

    audio_encoder = open_encoder(encoder)
    with progress_bar("listening") as progress:
        heard = hear_takes(music, other or (), audio_encoder, cache, n_music=takes, n_noises=noises, progress=progress)
        gate, measured = fit_gate(heard, progress)
    gate.write(Path(output), audio_encoder.name)
    write_json(measured, Path(output) / GATE_FOLDER / "metrics.json")
    print_document(measured, as_json)


@app.command("recognizer-report")
def train_recognizer_report(
    data: DataArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report; resumable.")],
    chords: ChordsOption,
    cache: CacheOption = "runs/recognizer",
    encoder: EncoderOption = "musicnn",
    folds: Annotated[int, typer.Option(metavar="N", min=2, help="Of datasets without a split of their own.")] = 5,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Networks of each fold.")] = 3,
    pairs: Annotated[bool, typer.Option("--pairs", help="The first dataset with each other, too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the recogniser on clips that were held out: baselines, single datasets, without each of its parts."""
    from muse.training.recognizer.config import RecognizerConfig
    from muse.training.recognizer.report import evaluate_recognizer

    settings = RecognizerConfig(**read_config(config, RecognizerConfig))
    with progress_bar("measuring the recogniser") as progress:
        report = evaluate_recognizer(
            data, chords, output, cache=cache, encoder=encoder, n_folds=folds, n_seeds=seeds, pairs=pairs,
            config=settings,
            progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(report)
    else:
        typer.echo((Path(output) / "report.md").read_text(encoding="utf-8"))


@app.command("recognizer-fusion")
def train_recognizer_fusion(
    corpora: MatrixCorporaArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="NAME|DIR", help="Checkpoint of the recogniser.")],
    cache: CacheOption = "runs/sound-matrix",
    soundfonts: SoundfontsOption = None,
    renderings: RenderingsOption = 1,
    minutes: RenderingMinutesOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit what a recogniser tells from notes and sound under many conditions, and how far it believes each."""
    from muse.training.recognizer.fusion import train_fusion

    with progress_bar("playing and hearing") as progress:
        document = train_fusion(
            corpora, output, cache, soundfonts=soundfonts or (), n_renderings=renderings, minutes=minutes,
            **given(seed=seed), progress=progress,
        )  # fmt: skip
    print_document(document, as_json)


@app.command("sound-matrix")
def train_sound_matrix(
    corpora: MatrixCorporaArgument,
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the report.")],
    cache: CacheOption = "runs/sound-matrix",
    soundfonts: SoundfontsOption = None,
    renderings: RenderingsOption = 1,
    minutes: RenderingMinutesOption = None,
    held_out: Annotated[bool, typer.Option("--held-out", help="Judge the clips held out, too.")] = False,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the recogniser on soundfonts, a player and a codec that nothing was fitted on, beside others."""
    from muse.evaluate.recognizer import emotion_across_sounds, table_of
    from muse.files import write_json

    with progress_bar("playing and hearing") as progress:
        document = emotion_across_sounds(
            corpora, cache, soundfonts=soundfonts or (), n_renderings=renderings, minutes=minutes, held_out=held_out,
            **given(seed=seed), progress=progress,
        )  # fmt: skip
    write_json(document, Path(output) / "sound-matrix.json")
    if as_json:
        print_json(document)
    else:
        typer.echo(table_of(document))


@app.command("mert-small")
def train_mert_small(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Folders of MIDI files and recordings.")],
    output: ResumedOutputOption,
    cache: CacheOption = "runs/mert-small",
    takes: Annotated[int, typer.Option(metavar="N", min=1, help="Renderings of each source.")] = 3,
    soundfont: Annotated[
        list[str] | None, typer.Option(metavar="F.sf2", help="Soundfonts to choose from; repeatable.")
    ] = None,
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    seed: SeedOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pre-train an encoder of sound by MERT's recipe: masked frames, an acoustic and a musical teacher."""
    from muse.training.recognizer.pretrain import PretrainConfig, make_takes, pretrain

    settings = PretrainConfig(**(read_config(config, PretrainConfig) | given(n_steps=steps, seed=seed)))
    with progress_bar("rendering") as progress:
        made = make_takes(
            sources, cache, n_takes=takes, soundfonts=soundfont or (), embed=settings.embedding_weight > 0,
            seed=settings.seed, progress=progress,
        )  # fmt: skip
    with progress_bar("pre-training") as progress:
        document = pretrain(made, output, config=settings, minutes=minutes or 0.0, progress=progress)
    print_document({"output": output, "takes": len(made), **document}, as_json)


@app.command("transcriber")
def train_transcriber_command(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Corpora of MIDI; permissive licences count.")],
    output: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder of the checkpoint.")],
    model: Annotated[
        str,
        typer.Option("--model", metavar="F.onnx", help="Basic Pitch's network, nmp.onnx of its package."),
    ],
    pieces: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of each corpus.")] = None,
    soundfont: Annotated[
        list[str] | None, typer.Option(metavar="F.sf2", help="Soundfonts to take in turn; repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Seed of choices and weights.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit what tells onsets from echoes in recordings, on rendered MIDI."""
    from muse.training.transcription import train_transcriber

    options = given(n_pieces=pieces, soundfonts=soundfont, seed=seed)
    with progress_bar("rendering") as progress:
        document = train_transcriber(sources, model, output, progress=progress, **options)
    print_document(document, as_json)


@app.command("pictures")
def train_pictures(
    data: Annotated[str, typer.Argument(metavar="DIR", help="Folder with oasis and vision_mobilenet_v2.")],
    output: OutputOption,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the reader of emotion in pictures."""
    from muse.training.prompts.image import train_image

    print_document(train_image(data, output, **given(seed=seed)), as_json)


@app.command("prompts")
def train_prompts(
    data: Annotated[str, typer.Argument(metavar="DIR", help="Folder with emobank, glasgow_norms and goemotions.")],
    output: OutputOption,
    steps: StepsOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the reader of emotion in texts."""
    from muse.checkpoint import find
    from muse.training.prompts.text import train

    tokenizer = find("prompts-text") / "tokenizer.json"
    print_document(train(data, output, tokenizer, **given(steps=steps, seed=seed)), as_json)
