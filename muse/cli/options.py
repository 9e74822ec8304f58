"""Command-line options from a typed request: the request's own table is their one source.

Contents: :func:`asks_for`.
"""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import typer

from muse.errors import InputError
from muse.tasks.request import about

__all__ = ["asks_for"]


def asks_for(
    request: type, *, only: Collection[str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the fields of a request as options; it gets those that were given as the mapping ``fields``.

    Parameters
    ----------
    request
        Dataclass whose fields are annotated with :class:`~muse.tasks.request.About`.
    only
        Names of the fields that become options; default: all.
    """
    fields = {name: row for name, row in about(request).items() if only is None or name in only}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "fields"]
        derived = [_parameter(name, *row) for name, row in fields.items()]
        parameters = [*(one for one in own if one.default is one.empty), *derived]
        parameters += [one for one in own if one.default is not one.empty]

        @functools.wraps(command)
        def run(**options: Any) -> None:
            given = {name: options.pop(name) for name in fields}
            command(fields=_read(given, fields), **options)

        keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in keyword_only}
        return run

    return decorate


# What an option is called where it is not the field's name, and how often it may be given.
_NAMES = {"attributes": "--set"}


def _parameter(name: str, kind: Any, description: Any, default: Any) -> inspect.Parameter:
    """The option of a field: mappings are read from texts, everything else by its own type."""
    option = typer.Option(
        _NAMES.get(name, "--" + name.replace("_", "-")), metavar=description.form, help=description.help
    )
    annotation = list[str] | None if _is_mapping(kind) else _plain_type(kind)
    default = None if _is_mapping(kind) else default
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, option]
    )


def _is_mapping(kind: Any) -> bool:
    return typing.get_origin(kind) is Mapping or kind is Mapping


def _plain_type(kind: Any) -> Any:
    """``str | list[str] | None`` -> ``str | None``: one text holds several with commas."""
    if isinstance(kind, types.UnionType) and list[str] in kind.__args__:
        return functools.reduce(lambda a, b: a | b, [one for one in kind.__args__ if one != list[str]])
    return kind


def _read(given: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The values that were given, mappings from their texts."""
    found = {}
    for name, value in given.items():
        if value is None:
            continue
        kind, description, _ = fields[name]
        if _is_mapping(kind):
            several = description.form.endswith(",...")
            texts = [part for text in value for part in (text.split(",") if several else [text])]
            found[name] = _assignments(_NAMES.get(name, f"--{name}"), texts, description.form.removesuffix(",..."))
        else:
            found[name] = value
    return found


def _assignments(option: str, texts: list[str], form: str) -> dict[str, float]:
    """``["Mean Pitch=72"]`` -> ``{"Mean Pitch": 72.0}``, every fault of them reported at once."""
    values, faults = {}, []
    for text in texts:
        name, equals, number = text.rpartition("=")
        try:
            if not equals:
                raise ValueError
            values[name.strip()] = float(number)
        except ValueError:
            faults.append(f"{text!r} is not {form}, with a number after the equals sign")
    if faults:
        raise InputError(f"{option}: {'; '.join(faults)}")
    return values
