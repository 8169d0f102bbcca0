"""What a person should know of a snapshot: how much of it no model reads, and what stands in it twice."""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embspec.plan.protocol import Desk, Made, Params
from embspec.stages.survey import duplicates, lengths

DOCUMENTS = "snapshot/documents.jsonl"
MANIFEST = "snapshot/manifest"
BASE = "base/base"


def make(params: Params, needs: Mapping[str, Any], out: Path, desk: Desk) -> Made:
    """Write `lengths.json` and `duplicates.json`; say aloud where too many texts are cut short."""
    digests = _digests(needs[MANIFEST])
    measured = lengths.measured(needs[DOCUMENTS], list(digests.values()), needs.get(BASE), desk)
    lengths.warn(measured, params["corpus.max_truncated_fraction"], desk)
    found = duplicates.found(needs[DOCUMENTS], digests, params, desk)
    _write(out / "lengths.json", measured)
    _write(out / "duplicates.json", found)
    counted = {name: found[name]["documents"] for name in ("exact", "near") if found[name] is not None}
    stat = {"texts": len(digests), **lengths.stat(measured), **counted}
    return Made(stat=stat, counts={"rows": len(digests)})


def _digests(path: Path) -> dict[str, bytes]:
    """What the manifest says of each text, in its order, which is that of `documents.jsonl`."""
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[:-1])
    return {name: bytes.fromhex(digest) for name, digest in rows}


def _write(path: Path, found: Any) -> None:
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
