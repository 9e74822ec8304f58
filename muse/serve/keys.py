"""API keys: who may ask.

Conventions
-----------
key file
    A key a line; empty lines and lines that start with ``#`` are passed over. A line ``sha256:<hex>`` is the digest of
    a key, so that the file need not hold the key itself.

Contents: :class:`Keys`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from muse.errors import InputError

__all__ = ["Keys"]

_SHORTEST: Final = 16
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")


class Keys:
    """Digests of the keys that are taken.

    Parameters
    ----------
    lines
        Lines of a key file.

    Raises
    ------
    InputError
        A key is too short, or there is none.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._digests = []
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            if found := _DIGEST.fullmatch(text):
                self._digests.append(bytes.fromhex(found[1]))
            elif text.startswith("sha256:"):
                raise InputError(f"line {number}: sha256: is followed by 64 hexadecimal digits")
            elif len(text) < _SHORTEST:
                raise InputError(f"line {number}: a key has at least {_SHORTEST} characters")
            else:
                self._digests.append(_digest(text))
        if not self._digests:
            raise InputError("there is no key in it: write one a line")

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """The keys of a file.

        Raises
        ------
        InputError
            It cannot be read, or holds no keys.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "no text in UTF-8"
            raise InputError(f"{path}: {reason}: give a file with a key a line") from None
        try:
            return cls(text.splitlines())
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def allow(self, authorization: str) -> bool:
        """Whether a header ``Authorization: Bearer <key>`` has one of the keys; takes as long whichever it is."""
        scheme, _, key = authorization.partition(" ")
        given = _digest(key.strip())
        found = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == "bearer" and any(found)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
