"""ONNX models written down as bytes, for ONNX Runtime.

Why by hand and not by the package ``onnx``: graphs are made while loading, because any folder in Hugging Face's format
decodes, not only those that our training wrote, and because weights are quantised on the way. Measured on two cores
of a Xeon, importing ``onnx`` takes 0.76 s, three times what loading the default generator takes altogether, and
its models copy all weights twice; the hundred lines below need neither. ONNX Runtime checks the graph that it is given.

Field numbers are those of ``onnx.proto``, beside each use. Contents: :class:`Graph`, :data:`CONTRIB`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONTRIB", "Graph"]

CONTRIB = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""
_OPSETS = {"": 17, CONTRIB: 1}
_IR_VERSION = 8  # of opset 17
# TensorProto.DataType
_ONNX_TYPES: dict[type, int] = {np.float32: 1, np.uint8: 2, np.int8: 3, np.int32: 6, np.int64: 7}


class Graph:
    """A model under construction: constants, operators, inputs and outputs, each known by name.

    Parameters
    ----------
    begun
        What this one begins with, for example constants that several graphs have; the bytes are shared.
    """

    def __init__(self, begun: Graph | None = None) -> None:
        self._parts: list[bytes] = [] if begun is None else list(begun._parts)

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add an array of a type in the table above; returns its name."""
        array = np.ascontiguousarray(array)
        dims = [_message(1, size) for size in array.shape]
        kind = _message(2, _ONNX_TYPES[array.dtype.type])
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        self._parts.append(_message(5, *dims, kind, _message(8, name), _message(9, raw)))  # GraphProto.initializer
        return name

    def node(
        self, op_type: str, inputs: Sequence[str], *outputs: str, domain: str = "", **attributes: float | str
    ) -> str:
        """Add an operator; returns the name of its first output."""
        fields = [_message(1, name) for name in inputs] + [_message(2, name) for name in outputs]
        fields += [_message(4, op_type), _message(7, domain)]
        for name, value in attributes.items():  # AttributeProto: name 1; float 2, integer 3 or text 4; type 20
            number, kind = (2, 1) if isinstance(value, float) else (4, 3) if isinstance(value, str) else (3, 2)
            fields.append(_message(5, _message(1, name), _message(number, value), _message(20, kind)))
        self._parts.append(_message(1, *fields))  # GraphProto.node
        return outputs[0]

    def input(self, name: str, dtype: type, dims: Sequence[int | str]) -> None:
        """Declare an input; a dimension is a size, or a name where it varies."""
        self._parts.append(self._value(11, name, dtype, dims))

    def output(self, name: str, dtype: type, dims: Sequence[int | str]) -> None:
        """Declare an output, as :meth:`input`."""
        self._parts.append(self._value(12, name, dtype, dims))

    @staticmethod
    def _value(number: int, name: str, dtype: type, dims: Sequence[int | str]) -> bytes:
        sizes = [_message(1, _message(1 if isinstance(size, int) else 2, size)) for size in dims]
        tensor_type = _message(1, _message(1, _ONNX_TYPES[dtype]), _message(2, *sizes))
        return _message(number, _message(1, name), _message(2, tensor_type))

    def serialize(self) -> bytes:
        """The model as a file's bytes."""
        opsets = [_message(8, _message(1, domain), _message(2, version)) for domain, version in _OPSETS.items()]
        return _message(1, _IR_VERSION) + _message(7, _message(2, "muse"), *self._parts) + b"".join(opsets)


def _message(number: int, *values: int | float | str | bytes) -> bytes:
    """One protobuf field: an integer, a float, or anything of bytes (several values are joined)."""
    if len(values) == 1 and isinstance(values[0], int):
        return _varint(number << 3) + _varint(values[0] & (2**64 - 1))
    if len(values) == 1 and isinstance(values[0], float):
        return _varint(number << 3 | 5) + struct.pack("<f", values[0])
    data = b"".join(value.encode() if isinstance(value, str) else value for value in values)  # type: ignore[misc]
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
