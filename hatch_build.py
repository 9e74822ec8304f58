"""Puts the artefact folders into the wheel, so that an installed Muse composes offline.

A checkout keeps ``attributes/``, ``checkpoints/`` and ``demos/`` at its top; in the wheel they are
``muse/_data/...``, where ``muse.checkpoint`` looks next. An editable install reads the checkout's own folders and
carries nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("attributes", "checkpoints", "demos")
# What training leaves behind and composing never reads.
LEFT_OUT = {".ckpt", ".log", ".pt", ".pyc", ".tmp"}
# Pieces to hear and see, for readers of the repository.
GALLERY = "demos/gallery/"


class ArtefactHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds every file of the artefact folders to a standard wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":
            return
        root = Path(self.root)
        for folder in FOLDERS:
            for path in sorted((root / folder).rglob("*")):
                name = path.relative_to(root).as_posix()
                if path.is_file() and path.suffix not in LEFT_OUT and "/." not in name and not name.startswith(GALLERY):
                    build_data["force_include"][str(path)] = f"muse/_data/{name}"
