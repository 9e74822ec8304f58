"""The upper half of the sentence encoder, fine-tuned for emotion.

The three upper layers of all-MiniLM-L6-v2 (BERT's, post-norm: Devlin et al. 2019) read the lower ones' states of every
token; on the mean of their output and on a mean that attention weights stand three affine heads. They lie as an ONNX
graph in the checkpoint ``prompts-text``; :mod:`muse.training.prompts` trains and writes it.

Contents: :class:`Tuned`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from muse.errors import InputError, require

__all__ = ["HEADS", "HIDDEN", "MODEL_FILE", "STATES", "Tuned", "run_options"]

Array = np.ndarray[Any, np.dtype[np.float32]]

HIDDEN: Final = "layer_norm_6"
"""Output of the encoder's graph that the layers read: that of the third layer."""
STATES: Final = "states"
"""Name of the input."""
HEADS: Final = {"views": 6, "categories": 28, "words": 2}
"""Heads and their outputs."""
MODEL_FILE: Final = "sentences.onnx"


class Tuned:
    """Fine-tuned layers and heads.

    Parameters
    ----------
    model
        The graph: a file or its bytes.

    Raises
    ------
    InputError
        The file is missing, or is not such a graph.
    MissingExtraError
        ONNX Runtime is not installed.
    """

    def __init__(self, model: Path | bytes) -> None:
        runtime = require("onnxruntime", "text", "The sentence encoder")
        if isinstance(model, Path) and not model.is_file():
            raise InputError(f"{model}: no such file: get the checkpoint again")
        where = model if isinstance(model, Path) else "the graph"
        try:
            given = str(model) if isinstance(model, Path) else model
            self._session = runtime.InferenceSession(given, run_options(), providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own exceptions have no common class
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"{where} cannot be run ({reason}): get the checkpoint again") from None
        outputs = {one.name for one in self._session.get_outputs()}
        if [one.name for one in self._session.get_inputs()] != [STATES] or not outputs >= set(HEADS):
            raise InputError(f"{where} is no network of sentences: get the checkpoint again")

    def predict(self, states: Array) -> dict[str, Array]:
        """What the heads say of one text.

        Parameters
        ----------
        states
            Of the tokens after the third layer, float [tokens, 384].

        Returns
        -------
        dict
            ``views`` [6] on the rating scales -1..1 (of the reader, the writer and both, valence and arousal each),
            ``categories`` [28] as logits, ``words`` [2] valence and arousal -1..1; float32.
        """
        found = self._session.run(list(HEADS), {STATES: np.asarray(states, np.float32)[None]})
        return {head: values[0] for head, values in zip(HEADS, found, strict=True)}


def run_options() -> Any:
    """How ONNX Runtime runs the networks of sentences: on one thread, silent."""
    runtime = require("onnxruntime", "text", "The sentence encoder")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options
