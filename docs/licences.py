"""Licences of everything that Muse is made with, and an audit of the pinned packages that needs no network.

    python docs/licences.py                            writes docs/licences.md
    python docs/licences.py --audit                    pinned against installed, declared against pinned
    python docs/licences.py --audit --advisories F     known vulnerabilities too; F: OSV advisories, a zip or a folder

A test holds the page to the pins of ``constraints.txt``, to the checkpoints and to the soundfonts that are looked for,
not to the machine. A pinned package that is not installed here keeps the row that the page has of it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"

HEAD = """# Licences

<!-- Written by docs/licences.py; do not edit. -->

Muse itself is under the Apache License 2.0. What follows is what it is made with: models, soundfonts, and packages in
the versions that are tested together (`constraints.txt`). `make licences` writes this page anew. `make audit` compares
what is declared, pinned and installed, without a network; with a download of the [OSV](https://osv.dev) advisories of
PyPI (`make audit ADVISORIES=all.zip`) it names known vulnerabilities of the pinned versions as well. Without one it
cannot: no list of vulnerabilities comes with Muse, for it would be out of date the day after. Nor does it look into
packages: what one says of its own licence is taken for true.
"""

SOUNDFONTS = {
    "FluidR3_GM.sf2": ("Fluid R3, Frank Wen", "MIT"),
    "FluidR3_GM2-2.sf2": ("the same", "MIT"),
    "GeneralUser-GS.sf2": ("GeneralUser GS, S. Christian Collins", "GeneralUser GS License v2.0"),
    "GeneralUser GS.sf2": ("the same", "GeneralUser GS License v2.0"),
    "GeneralUser_GS.sf2": ("the same", "GeneralUser GS License v2.0"),
    "MuseScore_General.sf2": ("MuseScore General, S. Christian Collins and others", "MIT"),
    "default-GM.sf2": ("what the system has chosen", "that of the file"),
    "default.sf2": ("what the system has chosen", "that of the file"),
}
"""File names that are looked for -> name and licence."""


_MIT = "Permission is hereby granted, free of charge, to any person obtaining a"


def pins() -> dict[str, str]:
    """Version of each pinned package, by its name as it is pinned."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def declared() -> dict[str, list[str]]:
    """What pyproject.toml asks for, by extra; ``""`` is the package alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: found for name, found in project["optional-dependencies"].items() if name != "all"}
    return {"": project["dependencies"], **extras}


def licence_of(distribution: metadata.Distribution) -> str:
    """What a package says of its licence: the SPDX expression, else classifiers, else the first line of the text."""
    package = distribution.metadata
    if expression := package.get("License-Expression"):
        return str(expression)
    classifiers = [line.split(" :: ")[-1] for line in package.get_all("Classifier") or () if line.startswith("License")]
    if named := [name for name in classifiers if name != "OSI Approved"]:
        return ", ".join(named)
    lines = (package.get("License") or "").strip().splitlines()
    if lines:
        return lines[0][:60]
    texts = [file.read_text() for file in distribution.files or () if "licenses" in file.parts]
    return "MIT, by its text" if any(_MIT in text for text in texts) else "not said"


def needed_for(pinned: dict[str, str]) -> dict[str, str]:
    """The extras that bring each package, directly or not; ``always`` where the package alone does."""
    names = {canonicalize_name(name) for name in pinned}
    found: dict[str, list[str]] = {name: [] for name in names}
    for extra, requirements in declared().items():
        waiting, seen = [Requirement(text) for text in requirements], set()
        while waiting:
            requirement = waiting.pop()
            name = canonicalize_name(requirement.name)
            known = (name, frozenset(requirement.extras))
            if known in seen or name not in names:
                continue
            seen.add(known)
            found[name].append(extra or "always")
            try:
                below = metadata.requires(name) or []
            except metadata.PackageNotFoundError:
                continue
            for one in map(Requirement, below):
                wanted = [{"extra": which} for which in requirement.extras] or [{"extra": ""}]
                if one.marker is None or any(one.marker.evaluate(which) for which in wanted):
                    waiting.append(one)
    return {
        name: "always" if "always" in extras else ", ".join(dict.fromkeys(extras)) for name, extras in found.items()
    }


def package_rows(page: str) -> list[str]:
    """A row for each pinned package; `page` is the old one."""
    pinned = pins()
    known = {row.split(" | ")[0].removeprefix("| "): row for row in page.splitlines() if row.startswith("| ")}
    wanted = needed_for(pinned)
    rows = []
    for name, version in pinned.items():
        try:
            licence = licence_of(metadata.distribution(name)).replace("|", "/")
        except metadata.PackageNotFoundError:
            licence = known[name].split(" | ")[2] if name in known else "not known"
        rows.append(f"| {name} | {version} | {licence} | {wanted[canonicalize_name(name)] or 'development'} |")
    return rows


def model_rows() -> list[str]:
    """A row for each checkpoint, from the head of its card."""
    rows = []
    for card in sorted((ROOT / "checkpoints").glob("*/README.md")):
        text = card.read_text(encoding="utf-8")
        licence = re.search(r"^license: (.+)$", text, re.M)
        title = re.search(r"^# (.+)$", text, re.M)
        shown = licence[1] if licence else "not said"
        shown = "of its own, see the card" if shown == "other" else shown
        rows.append(f"| {card.parent.name} | {title[1] if title else ''} | {shown} |")
    return rows


def page(old: str = "") -> str:
    """The page as Markdown."""
    parts = [
        HEAD,
        "## Models\n\nThe card, `checkpoints/<name>/README.md`, says what each learnt from and what follows from that.",
        "\n".join(["| checkpoint | what | licence of the weights |", "|---|---|---|", *model_rows()]),
        "## Soundfonts\n\nMuse brings none. It plays with the one that it is given, or with the first of these that "
        "the system has.",
        "\n".join(
            ["| file | soundfont | licence |", "|---|---|---|"]
            + [f"| {file} | {name} | {licence} |" for file, (name, licence) in SOUNDFONTS.items()]
        ),
        "## Packages\n\nThe last column names what needs a package: `always`, or the extras.",
        "\n".join(["| package | version | licence | for |", "|---|---|---|---|", *package_rows(old)]),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


# --------------------------------------------------------------------------------------------------------------- audit


def differences() -> Iterator[str]:
    """Where pins, declarations and this machine do not agree."""
    pinned = {canonicalize_name(name): version for name, version in pins().items()}
    for extra, requirements in declared().items():
        for requirement in map(Requirement, requirements):
            name = canonicalize_name(requirement.name)
            if name not in pinned:
                yield f"{name} is asked for by {extra or 'the package'} and not pinned"
            elif not requirement.specifier.contains(pinned[name]):
                yield f"{name} is pinned to {pinned[name]}, which {requirement} does not allow"
    # Only what Muse needs: what else a machine has is its own affair.
    for name, version in pinned.items():
        try:
            there = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        if Version(there).public != version:  # builds of one version differ in what follows the plus
            yield f"{name} {there} is installed, {version} is pinned"
        for requirement in map(Requirement, metadata.requires(name) or []):
            below = canonicalize_name(requirement.name)
            is_meant = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_meant and below not in pinned:
                yield f"{below} is needed by {name} and not pinned"


def advisories(path: Path) -> Iterator[dict[str, Any]]:
    """The advisories of a zip or a folder, in OSV's format."""
    if path.is_dir():
        yield from (json.loads(file.read_text(encoding="utf-8")) for file in sorted(path.rglob("*.json")))
        return
    with zipfile.ZipFile(path) as archive:
        yield from (json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json"))


def is_affected(version: str, affected: dict[str, Any]) -> bool:
    """Whether an entry of an advisory speaks of a version: it is listed, or lies in a range.

    Ranges as OSV defines them: from ``introduced`` on, up to ``fixed`` (without) or ``last_affected`` (with).
    """
    if version in affected.get("versions", ()):
        return True
    mine = Version(version)
    for span in affected.get("ranges", ()):
        inside = False
        if span["type"] != "ECOSYSTEM":
            continue
        for event in span["events"]:
            ((kind, text),) = event.items()
            try:
                bound = Version(text)
            except InvalidVersion:
                continue
            if kind == "introduced" and mine >= bound:
                inside = True
            elif (kind == "fixed" and mine >= bound) or (kind == "last_affected" and mine > bound):
                inside = False
        if inside:
            return True
    return False


def known_bad(path: Path) -> Iterator[str]:
    """Pinned versions of which an advisory speaks."""
    pinned = {canonicalize_name(name): version for name, version in pins().items()}
    for advisory in advisories(path):
        if advisory.get("withdrawn"):
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in pinned and is_affected(pinned[name], affected):
                yield f"{name} {pinned[name]}: {advisory['id']} {advisory.get('summary', '')}".strip()
                break


def audit(path: Path | None) -> int:
    """Print what was found; gives the exit code."""
    found = [*differences(), *(known_bad(path) if path else ())]
    for line in found:
        print(line)
    about = f"advisories of {path}" if path else "without advisories, known vulnerabilities were not looked for"
    print(f"{len(pins())} pins, {len(found)} findings; {about}")
    return 1 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audit", action="store_true")
    parser.add_argument("--advisories", type=Path)
    options = parser.parse_args()
    if options.audit:
        sys.exit(audit(options.advisories))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""), encoding="utf-8")


if __name__ == "__main__":
    main()
