"""Bodies of requests as pydantic models, made from the typed request alone: its table says every field, its type, its
help and its default.

Files are base64 in JSON. Limits come from :mod:`muse.tasks.limits`.

Contents: :func:`body_of`, :func:`request_of`, :class:`Fault`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Collection
from typing import Any, Final

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, create_model

from muse.tasks.limits import MAX_BARS, MAX_CANDIDATES, MAX_CHARACTERS, MAX_UPLOAD_BYTES
from muse.tasks.request import FILES, ComposeRequest, about

__all__ = ["Fault", "body_of", "request_of"]

_BOUNDS: Final[dict[str, dict[str, Any]]] = {
    "bars": {"ge": 1, "le": MAX_BARS},
    "candidates": {"ge": 1, "le": MAX_CANDIDATES},
    "seed": {"ge": 0},
    "valence": {"ge": -1, "le": 1},
    "arousal": {"ge": -1, "le": 1},
}


class Fault(BaseModel):
    """What went wrong, in one line."""

    error: str
    request_id: str


def body_of(request: type, name: str, only: Collection[str] | None = None) -> type[BaseModel]:
    """A model of a request's fields.

    Parameters
    ----------
    request
        Dataclass whose fields are annotated with :class:`~muse.tasks.request.About`.
    name
        Of the model, in the OpenAPI document.
    only
        Names of the fields that it has; default: all.
    """
    fields: dict[str, Any] = {}
    for field, (kind, description, default) in about(request).items():
        if only is not None and field not in only:
            continue
        text, bounds, kind = description.help, _BOUNDS.get(field, {}), _optional(kind)
        if field in FILES:
            kind, text = Base64Bytes | None, f"{text} The file itself, as base64."
            bounds = {"max_length": MAX_UPLOAD_BYTES, "strict": False}  # base64 is text, and becomes bytes
        elif kind == str | None:
            bounds = {"max_length": MAX_CHARACTERS}
        fields[field] = kind, Field(default, description=text, **bounds)
    config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    return create_model(name, __config__=config, __doc__=request.__doc__, **fields)


def request_of(body: BaseModel) -> tuple[ComposeRequest, dict[str, bytes]]:
    """The request, and its files by field.

    Raises
    ------
    InputError
        Fields contradict one another or have values that are not legal.
    """
    given = {name: value for name, value in body if value is not None}
    uploads: dict[str, bytes] = {name: given.pop(name) for name in FILES if name in given}
    return ComposeRequest.from_fields(given), uploads


def _optional(kind: Any) -> Any:
    """The type, and null for *not given*."""
    return functools.reduce(operator.or_, [kind, None])
