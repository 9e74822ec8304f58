"""Checkpoints and fitted tables: where they lie and how they are read and written.

A checkpoint is a folder that a stranger can open: ``model.safetensors`` (or shards with
``model.safetensors.index.json``, as Hugging Face writes them), ``config.json``, ``metrics.json``, ``README.md``.
Nothing is ever unpickled. Shards stay under 16 MB, so that they can live in any Git host.

Artefacts lie in the top-level folders ``attributes/`` and ``checkpoints/`` of a checkout, and in ``muse/_data/`` of an
installed wheel; :func:`data_path` knows which. Every file is written whole or not at all.

What a checkpoint says of itself is checked before it is used: numbers by :class:`Settings`, weights by
:func:`check_tensors` and :func:`check_values`. PyTorch and numpy are imported only where tensors of theirs are asked
for: what only names checkpoints, as ``muse info`` does, starts without them.

Contents: :func:`data_path`, :func:`find`, :class:`Settings`; :func:`load_tensors`,
:func:`check_tensors`, :func:`check_values`, :func:`under`, :func:`save_tensors`, :class:`Arrays`; :func:`sha256`,
:func:`contents`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, overload

import safetensors

from muse.errors import InputError, is_number, require, shown, unknown
from muse.files import read_json, write_bytes, write_json

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = [
    "Arrays",
    "Settings",
    "check_tensors",
    "check_values",
    "contents",
    "data_path",
    "find",
    "load_tensors",
    "save_tensors",
    "sha256",
    "under",
]

KINDS = ("attributes", "checkpoints", "demos")
"""The folders of artefacts."""

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"
MAX_SHARD_BYTES = 15_900_000
"""Room is left for the header, so that a shard file stays under 16 MB."""
MAX_FILE_BYTES = 4 * 2**30
"""Larger files of weights are not read."""

_PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib")

_NUMPY_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
"""Of safetensors' types, which are stored with the lowest byte first."""


def data_path(kind: str) -> Path:
    """Folder of the artefacts of one kind.

    Parameters
    ----------
    kind
        ``"attributes"``, ``"checkpoints"`` or ``"demos"``.

    Returns
    -------
    Path
        ``muse/_data/<kind>`` in an installed package, ``<checkout>/<kind>`` otherwise. It need not exist.

    Raises
    ------
    InputError
        There is no such kind.
    """
    if kind not in KINDS:
        raise InputError(f"no artefacts are called {kind!r}: choose from {', '.join(KINDS)}")
    package = Path(__file__).resolve().parent
    packed = package / "_data" / kind
    return packed if packed.is_dir() else package.parent / kind


def find(name_or_path: str | Path, model_type: str | None = None, *, with_file: str | None = None) -> Path:
    """Folder of a checkpoint.

    Parameters
    ----------
    name_or_path
        A folder, or the name of one that comes with Muse (``"planner"``). A folder in the current directory wins
        only when it is given as a path (``"./planner"``), so a name always means the same.
    model_type
        What its ``config.json`` must say that it is: ``"llama"`` for generators, ``"muse-selector"``; by default
        anything.
    with_file
        A file that it must hold besides, where several kinds of models are of one type.

    Raises
    ------
    InputError
        There is no such folder, or it holds another kind of model; names those that there are.
    """
    shipped = data_path("checkpoints")
    text = str(name_or_path)
    is_name = isinstance(name_or_path, str) and text not in ("", ".", "..") and not set("/\\") & set(text)
    path = shipped / text if is_name and (shipped / text).is_dir() else Path(name_or_path)
    if text and path.is_file():
        raise InputError(f"{path} is a file: give the checkpoint's folder, {path.parent}")
    names = _names(shipped, model_type, with_file)
    if not text or not path.is_dir():
        raise InputError(f"{unknown('checkpoint', text, names)}; or give the path of a folder")
    path = path if path.is_relative_to(shipped) else path.resolve()
    if model_type is not None and (found := _model_type(path)) != model_type:
        raise InputError(
            f"{path} holds no {model_type} model: config.json says {found!r}; those that come with Muse are "
            f"{', '.join(names) or 'none'}"
        )
    if with_file is not None and not (path / with_file).is_file():
        raise InputError(f"{path} holds no {with_file}; those that come with Muse are {', '.join(names) or 'none'}")
    return path


def _model_type(folder: Path) -> object:
    """What a checkpoint says that it is; None where it says nothing."""
    if not (folder / "config.json").exists():
        return None
    config = read_json(folder / "config.json")
    return config.get("model_type") if isinstance(config, dict) else None


def _names(folder: Path, model_type: str | None, with_file: str | None) -> list[str]:
    """Names of the checkpoints in a folder that are of a type and hold a file."""
    if not folder.is_dir():
        return []
    entries = sorted(entry for entry in folder.iterdir() if entry.is_dir() and (entry / (with_file or "")).exists())
    return [entry.name for entry in entries if model_type is None or _model_type(entry) == model_type]


class Settings:
    """The values of a checkpoint's JSON file, each checked when it is asked for.

    Parameters
    ----------
    values
        Name to value.
    path
        The file, for messages.
    """

    def __init__(self, values: Mapping[str, Any], path: Path) -> None:
        self.values, self.path = values, path

    @classmethod
    def read(cls, path: str | Path) -> Settings:
        """Read a file.

        Raises
        ------
        InputError
            It is missing or no JSON object.
        """
        values = read_json(path)
        if not isinstance(values, dict):
            raise InputError(f"{path}: a JSON object is expected, not {type(values).__name__}")
        return cls(values, Path(path))

    def part(self, *names: str) -> Settings:
        """The first of some objects in it that is there; empty without."""
        for name in names:
            if (found := self.values.get(name)) is not None:
                if not isinstance(found, dict):
                    raise self._fault(name, found, "an object")
                return Settings(found, self.path)
        return Settings({}, self.path)

    def expect(self, name: str, value: object, *, absent: bool = False) -> None:
        """Refuse the file where a value is another one; with `absent` it may be missing."""
        if name not in self.values and absent:
            return
        if self.values.get(name) != value:
            raise InputError(f"{self.path}: {name} is {shown(self.values.get(name))}, not {value!r}")

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number in low..high; `default` where it is missing."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._fault(name, value, f"a whole number in {low}..{high}")
        return value

    def real(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number in low..high; `default` where it is missing."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self._fault(name, value, f"a number in {low:g}..{high:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._value(name, None)
        if not isinstance(value, bool):
            raise self._fault(name, value, "true or false")
        return value

    def reals(self, name: str, n: int | None = None) -> tuple[float, ...]:
        """A list of finite numbers, `n` of them where that is given."""
        values = self._value(name, None)
        if not isinstance(values, list) or not all(is_number(value) and math.isfinite(value) for value in values):
            raise self._fault(name, values, "a list of numbers")
        if n is not None and len(values) != n:
            raise InputError(f"{self.path}: {name} has {len(values)} numbers, not {n}")
        return tuple(map(float, values))

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts."""
        values = self._value(name, None)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self._fault(name, values, "a list of texts")
        return tuple(values)

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        value = default if value is None else value
        if value is None:
            raise InputError(f"{self.path}: {name!r} is missing")
        return value

    def _fault(self, name: str, value: object, legal: str) -> InputError:
        return InputError(f"{self.path}: {name} is {shown(value)}, legal is {legal}")


@overload
def load_tensors(folder: str | Path, framework: Literal["pt"] = "pt") -> dict[str, torch.Tensor]: ...
@overload
def load_tensors(folder: str | Path, framework: Literal["np"]) -> dict[str, np.ndarray[Any, Any]]: ...
def load_tensors(folder: str | Path, framework: str = "pt") -> dict[str, Any]:
    """All tensors of a checkpoint, from one safetensors file or from shards with an index.

    Parameters
    ----------
    folder
        The checkpoint's folder.
    framework
        ``"pt"`` for PyTorch tensors in their stored types, ``"np"`` for arrays, where bfloat16 becomes float32.

    Returns
    -------
    dict
        Name to tensor, in the order of the names.

    Raises
    ------
    InputError
        Folder, file, shard or tensor is missing or damaged, or the weights are pickled, which Muse never opens.
    """
    if framework not in ("pt", "np"):
        raise InputError(f"unknown framework {framework!r}: choose 'pt' or 'np'")
    folder = Path(folder)
    tensors: dict[str, Any] = {}
    weight_map = _weight_map(folder)
    for file in dict.fromkeys(weight_map.values()) if weight_map is not None else [SINGLE_NAME]:
        tensors |= _load_file(folder / file, framework)
    if weight_map is not None and (missing := sorted(weight_map.keys() - tensors.keys())):
        raise InputError(f"{folder}: the shards lack {len(missing)} tensors, {missing[0]!r} first: get them again")
    return {name: tensors[name] for name in sorted(tensors)}


def _weight_map(folder: Path) -> dict[str, str] | None:
    """Tensor name to shard file name; None where one file holds everything."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if not (folder / INDEX_NAME).is_file():
        if (folder / SINGLE_NAME).is_file():
            return None
        names = sorted(entry.name for entry in folder.iterdir())
        pickled = [name for name in names if name.endswith(_PICKLED)]
        if pickled:
            raise InputError(
                f"{folder / pickled[0]} is a pickle, and opening one can run any code hidden in it: "
                "convert it to safetensors where you trust it"
            )
        raise InputError(f"{folder} has neither {SINGLE_NAME} nor {INDEX_NAME}, only {', '.join(names) or 'nothing'}")
    index = read_json(folder / INDEX_NAME)
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise InputError(f"{folder / INDEX_NAME}: it has no 'weight_map' of names: get the file again")
    for name in weight_map.values():
        if name != Path(name).name or not name.endswith(".safetensors"):
            raise InputError(f"{folder / INDEX_NAME}: {name!r} is no safetensors file of this folder")
    return weight_map


def _load_file(path: Path, framework: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: this shard is missing: get the whole folder again")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise InputError(f"{path} has {path.stat().st_size:,} bytes; files up to {MAX_FILE_BYTES:,} are read")
    try:
        if framework == "pt":
            require("torch", "all", "load_tensors")
            from safetensors.torch import load_file

            return dict(load_file(path))
        return {name: _to_numpy(tensor) for name, tensor in safetensors.deserialize(path.read_bytes())}  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise InputError(f"{path} is no intact safetensors file ({error}): get it again") from None


def _to_numpy(tensor: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """An array of safetensors' raw form."""
    import numpy as np

    shape, data, kind = tensor["shape"], bytes(tensor["data"]), tensor["dtype"]
    if kind == "BF16":  # the upper half of a float32
        high = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return high.view(np.float32).reshape(shape)
    if kind not in _NUMPY_TYPES:
        raise InputError(f"numpy has no type for {kind}: load with framework='pt'")
    return np.frombuffer(data, _NUMPY_TYPES[kind]).reshape(shape).copy()


def check_tensors(
    folder: str | Path,
    tensors: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    optional: Collection[str] = (),
    besides: tuple[str, ...] = (),
) -> None:
    """Refuse weights that do not fit a model, or that nothing was trained into.

    Parameters
    ----------
    folder
        Where they come from, for messages.
    tensors
        Name to array or PyTorch tensor.
    shapes
        What the model has.
    optional
        Names that may be missing.
    besides
        Beginnings of names that are not looked at.

    Raises
    ------
    InputError
        A tensor is missing, unknown, of another shape or of no floating-point type, or :func:`check_values` refuses.
    """
    misfit = f"{folder}: weights and config.json do not fit"
    unknown_names = [name for name in tensors if name not in shapes and not name.startswith(besides)]
    if unknown_names:
        raise InputError(f"{misfit}: {unknown_names[0]} is not part of such a model")
    for name, shape in shapes.items():
        tensor = tensors.get(name)
        if tensor is None and name in optional:
            continue
        fault = None
        if tensor is None:
            fault = "is missing"
        elif tuple(tensor.shape) != shape:
            fault = f"has the shape {list(tensor.shape)}, not {list(shape)}"
        elif "float" not in str(tensor.dtype):
            fault = f"is of type {tensor.dtype}, not floating point"
        if fault:
            raise InputError(f"{misfit}: {name} {fault}")
    check_values(folder, {name: tensors[name] for name in shapes if name in tensors})


def check_values(folder: str | Path, tensors: Mapping[str, Any]) -> None:
    """Refuse weights that are not finite, and those that nothing was trained into: all matrices are zero.

    Raises
    ------
    InputError
        They are so.
    """
    floating = {name: tensor for name, tensor in tensors.items() if "float" in str(tensor.dtype)}
    for name, tensor in floating.items():
        if not bool((abs(tensor) < math.inf).all()):
            raise InputError(f"{folder}: {name} has values that are no finite numbers: get the checkpoint again")
    matrices = [tensor for tensor in floating.values() if len(tensor.shape) > 1]
    if matrices and not any(bool((matrix != 0).any()) for matrix in matrices):
        raise InputError(f"{folder}: all weights are zero: nothing was trained into this checkpoint")


def under(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Those tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class Arrays:
    """Base of a frozen dataclass all of whose fields are float32 arrays: a small fitted model inside a checkpoint."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def tensors(self) -> dict[str, torch.Tensor]:
        """The fields by name."""
        import numpy as np
        import torch

        return {name: torch.from_numpy(np.array(getattr(self, name))) for name in self.__dataclass_fields__}

    @classmethod
    def load(cls, tensors: Mapping[str, Any]) -> Self:
        """What :meth:`tensors` gave.

        Raises
        ------
        KeyError
            Something is missing.
        """
        import numpy as np

        return cls(*(np.asarray(tensors[name], np.float32) for name in cls.__dataclass_fields__))


def save_tensors(
    tensors: Mapping[str, Any],
    folder: str | Path,
    *,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> list[Path]:
    """Write tensors as safetensors; as shards with an index when they do not fit into one.

    Equal tensors give equal bytes. Weights of an earlier save in the folder are replaced.

    Parameters
    ----------
    tensors
        Name to PyTorch tensor or numpy array, all of one kind. Leave tied weights out, as Hugging Face does.
    folder
        Made if need be.
    max_shard_bytes
        Tensor bytes in a file. A single larger tensor gets a file of its own.

    Returns
    -------
    list of Path
        The files written, the index (if any) last.

    Raises
    ------
    InputError
        Nothing to write, mixed kinds, or two names for one memory.
    """
    import numpy as np

    if not tensors:
        raise InputError("there are no tensors to save: give at least one")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    is_numpy = {isinstance(tensor, np.ndarray) for tensor in tensors.values()}
    if len(is_numpy) > 1:
        raise InputError("PyTorch tensors and numpy arrays are mixed: convert them to one kind")

    shards: list[dict[str, Any]] = [{}]
    size = total = 0
    for name in sorted(tensors):
        n_bytes = int(tensors[name].nbytes)
        if shards[-1] and size + n_bytes > max_shard_bytes:
            shards.append({})
            size = 0
        shards[-1][name] = tensors[name]
        size += n_bytes
        total += n_bytes

    n_shards = len(shards)
    names = [f"model-{index:05d}-of-{n_shards:05d}.safetensors" for index in range(1, n_shards + 1)]
    if n_shards == 1:
        names = [SINGLE_NAME]
    written = []
    for name, shard in zip(names, shards, strict=True):
        written.append(write_bytes(folder / name, _serialize(shard, numpy=is_numpy == {True})))
    if n_shards > 1:
        weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        written.append(write_json(index, folder / INDEX_NAME))
    for stale in [*folder.glob("model-*-of-*.safetensors"), folder / SINGLE_NAME, folder / INDEX_NAME]:
        if stale not in written:
            stale.unlink(missing_ok=True)
    return written


def _serialize(shard: dict[str, Any], *, numpy: bool) -> bytes:
    metadata = {"format": "pt"}  # Hugging Face's loaders want to see it
    if numpy:
        import numpy as np
        from safetensors.numpy import save as save_numpy

        return save_numpy({name: np.ascontiguousarray(array) for name, array in shard.items()}, metadata)
    from safetensors.torch import save as save_torch

    try:
        return save_torch({name: tensor.detach().cpu().contiguous() for name, tensor in shard.items()}, metadata)
    except RuntimeError as error:
        raise InputError(f"two names share one memory; leave tied weights out ({str(error).splitlines()[0]})") from None


def sha256(folder: str | Path) -> dict[str, str]:
    """SHA-256 of every file in a folder: relative name with forward slashes to hexadecimal digest, by name.

    Hidden files are left out. The listing is what a model card prints, and what a download can be compared with.
    """
    folder = Path(folder)
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            with path.open("rb") as stream:
                digests[name.as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    return digests


def contents(folders: Iterable[str | Path]) -> bytes:
    """What stands in several folders, to be hashed with whatever else a result depends on: a line with name and SHA-256
    for each file that :func:`sha256` lists, but for compiled Python."""
    files = (item for folder in folders for item in sha256(folder).items())
    return "".join(f"{name} {digest}\n" for name, digest in files if not name.endswith(".pyc")).encode()
