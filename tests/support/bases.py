"""What the tests of the base stage share: the files of a spec's base, the stage, a folder's bytes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Made
from embspec.stages.base.make import make
from embspec.stages.live import base_files
from embspec.store.live import LiveTree, find
from tests.support.desk import Desk


def params(base: str | None = None, **more: Any) -> dict[str, Any]:
    """The parameters of the stage, each at its default but those given; dots are written `__`."""
    default: dict[str, Any] = {
        "model.revision": "auto", "model.trust_remote_code": False, "model.max_seq_length": None,
        "model.similarity_fn_name": None, "model.prompts.query": None, "model.prompts.document": None,
    }
    named = {"model." + key.replace("__", "."): value for key, value in more.items()}
    return {**({"model.base": base} if base else {}), **default, **named}


def build(here: Path, given: dict[str, Any], out: Path) -> Made:
    """Run the stage over the files under `here` that the parameters name."""
    out.mkdir(parents=True, exist_ok=True)
    tree = LiveTree(find(str(here), base_files(given)))
    made = make(given, {"live": tree}, out, Desk(out / "scratch"))
    assert list((out / "scratch").iterdir()) == []
    return made


def portable(here: Path, given: dict[str, Any], out: Path) -> Path:
    """The folder that the stage writes."""
    build(here, given, out)
    return out / "base"


def listing(folder: Path) -> dict[str, str]:
    """Every file of a folder, and the digest of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def said(folder: Path, name: str) -> Any:
    """What a JSON file of a folder says."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


def hub(home: Path, source: Path, commit: str, branch: str = "main") -> None:
    """A cache as huggingface_hub leaves it: blobs, links to them, and branches."""
    folder = home / "models--acme--tiny"
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        blob = folder / "blobs" / f"{commit}-{path.relative_to(source).as_posix().replace('/', '-')}"
        link = folder / "snapshots" / commit / path.relative_to(source)
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, blob)
        os.symlink(os.path.relpath(blob, link.parent), link)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / branch).write_text(commit, encoding="ascii")
