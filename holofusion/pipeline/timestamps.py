"""Set modification times to match content hashes, because Snakemake decides by time what to rerun."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from holofusion.pipeline.scopes import ONCE
from holofusion.pipeline.verify import Artefact, examine, in_order, needs_of, resting_on

DIGESTS = ".digests.json"


def settle(results: Path, remove: bool) -> list[str]:
    """Make file times agree with content, so that the workflow makes again what has a fault, and nothing else.

    What is in order is given a time after that of its inputs. What has a fault is removed, and what rests on it, as the
    workflow would before making it anew (the saved state of a training stays); unless `remove` is false. Returns a line
    for each fault.
    """
    artefacts = examine(results, results / DIGESTS)
    # without a record it is for the workflow to say whether it was finished
    faulty = [artefact for artefact in artefacts.values() if artefact.fault and artefact.inputs is not None]
    resting = resting_on({artefact.name for artefact in faulty}, artefacts)
    doomed = [*faulty, *(artefacts[name] for name in resting)] if remove else []
    for artefact in doomed:
        _remove(artefact)
    for artefact in in_order(artefacts):
        before: list[Path] = [artefact.config, *(artefacts[name].path for name in needs_of(artefact, artefacts))]
        if artefact.step.scope is ONCE:
            before.append(results / "config" / "changed.json")
        if not artefact.fault and artefact not in doomed:
            newest = max(time for path in before if path.exists() for part in _timed([path]) for time in _times(part))
            made = [
                *_timed([artefact.path, *(results / name for name in artefact.step.also)]),
                *([artefact.benchmark] if artefact.benchmark and artefact.benchmark.exists() else []),
            ]
            if newest > min(time for part in made for time in _times(part)):
                for part in made:
                    os.utime(part)
                    os.utime(part, follow_symlinks=False)
    return [f"{artefact.path}: {artefact.fault}" for artefact in faulty]


def _remove(artefact: Artefact) -> None:
    if artefact.step.files:
        for name in artefact.step.files:
            (artefact.path / name).unlink(missing_ok=True)
    elif artefact.path.is_dir():
        shutil.rmtree(artefact.path)
    else:
        artefact.path.unlink()


def _timed(paths: list[Path]) -> list[Path]:
    """The paths whose times the workflow compares, of those that are there: of a folder, itself and the files in it."""
    paths = [part for part in paths if part.exists()]
    return [*paths, *(file for part in paths if part.is_dir() for file in part.iterdir() if file.is_file())]


def _times(path: Path) -> tuple[float, float]:
    """Of a file, and of the link by which it may be there."""
    return path.stat().st_mtime, path.lstat().st_mtime
