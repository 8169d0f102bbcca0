"""One of 10,000 documents edited under `train_on: live`: what is encoded again, how long it takes, and what is equal.

    python benchmarks/live_edit.py [--documents 10000] [--edits 2]

The documents are those of MedQuAD, SciFact and the Azure documentation, the pairs those of MedQuAD, the base is a table
of word vectors. The project is built once; then the text of one document is changed and the project is built again:
one that nothing was trained on (no answer, no negative, not in the pool that checkpoints rank), and an answer of a
training query. Each time the same files are built in another folder without lock, store or bank: all digests have to
be equal.
"""
from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from clock import machine, save, table
from data import folder as data_folder

SETS = ("medquad_small", "scifact", "azdocs_small")  # the first has the pairs
SPEC = """\
embspec: 1
name: live
model:
  base:
    static:
      weights: package:wordllama/weights/l2_supercat_256.safetensors
      tokenizer: package:wordllama/tokenizers/l2_supercat_tokenizer_config.json
corpus: {path: docs/*.jsonl, train_on: live}
pairs:
  - {name: gold, path: gold.jsonl, trust: gold}
split: {test: 0.1, validation: 0.05}
negatives:
  miners:
    - {kind: dense, model: base, num_negatives: 4, window: {range_min: 0, range_max: 100}, sampling_strategy: top}
gates: []
"""
EDIT = " Salt is spread on the steps before dawn."
TRAINED = ("train",)  # told apart: another model is trained where what it is trained on has changed
SECONDS, TEXTS = 10.0, 1

Row = dict[str, Any]


class Case(NamedTuple):
    """A document to edit."""

    said: str
    id: str


class Built(NamedTuple):
    """What a build said of its stages, and the digests in its lock."""

    seconds: float
    cpu: float
    stages: Sequence[Row]
    digests: Mapping[str, str]

    @property
    def ran(self) -> list[Row]:
        """The stages that did something."""
        return [stage for stage in self.stages if stage["state"] == "run"]


def lay(project: Path, most: int) -> None:
    """Documents, pairs and spec."""
    (project / "docs").mkdir(parents=True)
    texts = chain.from_iterable(((name, row) for row in rows(data_folder(name) / "corpus.jsonl")) for name in SETS)
    kept = set()
    for name, row in islice(texts, most):
        id = f"{name}-{row.get('_id', row.get('id'))}"
        kept.add(id)
        with open(project / "docs" / f"{name}.jsonl", "a", encoding="utf-8") as file:
            file.write(text({"id": id, "title": row.get("title") or "", "text": row["text"]}))
    data = data_folder(SETS[0])
    asked = {row.get("_id", row.get("id")): row["text"] for row in rows(data / "queries.jsonl")}
    with open(project / "gold.jsonl", "w", encoding="utf-8") as file:
        for part in ("train", "dev", "test"):
            for line in (data / "qrels" / f"{part}.tsv").read_text(encoding="utf-8").splitlines()[1:]:
                query, document, _ = line.split("\t")
                if f"{SETS[0]}-{document}" in kept:
                    file.write(text({"query": asked[query], "positive": f"{SETS[0]}-{document}"}))
    (project / "live.yaml").write_text(SPEC, encoding="utf-8")


def build(project: Path, store: Path) -> Built:
    """A build to its end, as a user runs it."""
    env = {**{name: value for name, value in os.environ.items() if name != "CI"}, "EMBSPEC_STORE": str(store),
           "HF_HUB_OFFLINE": "1"}
    start, before = time.perf_counter(), worked()
    done = subprocess.run([sys.executable, "-m", "embspec", "build", "live.yaml", "--json"], cwd=project, env=env,
                          capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"the build ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return Built(seconds, worked() - before, json.loads(done.stdout)["stages"], digests(project))


def worked() -> float:
    """Processor seconds of all that this process started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def digests(project: Path) -> dict[str, str]:
    """Every artefact in the lock, by stage and name."""
    found: dict[str, str] = {}
    stage = ""
    for line in (project / "live.lock").read_text(encoding="utf-8").splitlines():
        if block := re.match(r"(\S+):$", line):
            stage = block[1]
        elif artefact := re.match(r"    (\S+): (?:tree )?sha256:([0-9a-f]{64})", line):
            found[f"{stage}/{artefact[1]}"] = artefact[2]
    return found


def artefact(store: Path, built: Built, name: str) -> Iterator[Row]:
    """The rows of an artefact."""
    digest = built.digests[name]
    return rows(store / "obj" / digest[:2] / digest[2:])


def cases(project: Path, store: Path, built: Built) -> list[Case]:
    """One document of each kind, the first by id from the middle on."""
    examples = list(artefact(store, built, "negatives/examples.jsonl"))
    answers = {one["id"] for row in examples for one in row["positives"]}
    seen = {one["id"] for row in examples for one in row["negatives"]}
    seen |= {row["id"] for row in artefact(store, built, "split/pool.jsonl")}
    every = sorted(row["id"] for path in sorted((project / "docs").iterdir()) for row in rows(path))
    labelled = {row["positive"] for row in rows(project / "gold.jsonl")}
    kinds: Mapping[str, Callable[[str], bool]] = {
        "nothing was trained on it": lambda id: id not in seen | labelled,
        "an answer of a training query": lambda id: id in answers,
    }
    return [Case(said, next(filter(fits, every[len(every) // 3 :]))) for said, fits in kinds.items()]


def edit(project: Path, id: str) -> None:
    """Add a sentence to one document."""
    for path in sorted((project / "docs").iterdir()):
        lines = [text({**row, "text": row["text"] + EDIT}) if row["id"] == id else text(row) for row in rows(path)]
        path.write_text("".join(lines), encoding="utf-8")


def anew(project: Path, folder: Path) -> Built:
    """The same files where nothing was ever built."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(project, folder / "project", ignore=shutil.ignore_patterns("*.lock", "out", ".embspec"))
    return build(folder / "project", folder / "store")


def measured(case: Case, warm: Built, cold: Built) -> Row:
    """One edit, with what it cost and whether its bytes are those of a build from nothing."""
    ran = warm.ran
    cost = {stage["name"]: {"seconds": stage["seconds"], "encoded": stage["counts"]["encoded"]} for stage in ran}
    mined = [stage["name"] for stage in ran].index("negatives") + 1
    return {
        "case": case.said, "seconds": round(warm.seconds, 2), "cpu": round(warm.cpu, 2),
        "from_nothing": round(cold.seconds, 2),
        "to_negatives": round(sum(stage["seconds"] for stage in ran[:mined]), 2),
        "after": round(sum(stage["seconds"] for stage in ran[mined:] if stage["name"] not in TRAINED), 2),
        "training": round(sum(stage["seconds"] for stage in ran if stage["name"] in TRAINED), 2),
        "trained": any(stage["name"] in TRAINED for stage in ran),
        "encoded_by_negatives": cost["negatives"]["encoded"],
        "encoded_after": sum(stage["counts"]["encoded"] for stage in ran[mined:] if stage["name"] not in TRAINED),
        "stages": cost, "equal": warm.digests == cold.digests,
        "different": sorted(name for name in {*warm.digests, *cold.digests}
                            if warm.digests.get(name) != cold.digests.get(name)),
    }


def main() -> None:
    """Measure, print the tables, write results/live-edit.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--edits", type=int, default=2, help="of those named above, the first so many")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="embspec-live-") as name:
        project, store = Path(name, "built", "project"), Path(name, "built", "store")
        lay(project, given.documents)
        first = build(project, store)
        found = []
        for case in cases(project, store, first)[: given.edits]:
            edit(project, case.id)
            found.append(measured(case, build(project, store), anew(project, Path(name, "anew"))))
    report(given.documents, first, found)


def report(documents: int, first: Built, found: Sequence[Row]) -> None:
    """The tables and the result file."""
    print(f"{documents} documents, first built in {first.seconds:.1f} s\n{machine()}")
    head = ("one document edited", "to negatives", "after it", "training", "in all", "processor", "from nothing",
            "encoded", "encoded after", "bytes")
    print(table(head, [
        (row["case"], f"{row['to_negatives']:.1f} s", f"{row['after']:.1f} s",
         f"{row['training']:.1f} s" if row["trained"] else "not run", f"{row['seconds']:.1f} s",
         f"{row['cpu']:.1f} s", f"{row['from_nothing']:.1f} s", str(row["encoded_by_negatives"]),
         str(row["encoded_after"]), "equal" if row["equal"] else f"{len(row['different'])} differ") for row in found]))
    names = list(dict.fromkeys(name for row in found for name in row["stages"]))
    print()
    print(table(("seconds, encoded", *(row["case"] for row in found)), [
        (name, *(f"{row['stages'][name]['seconds']:.2f} s, {row['stages'][name]['encoded']}"
                 if name in row["stages"] else "not run" for row in found)) for name in names]))
    for row in found:
        print("".join(f"  differs: {row['case']}: {name}\n" for name in row["different"]), end="")
    save("live-edit", {"machine": machine(), "documents": documents, "first": round(first.seconds, 2), "rows": found})
    bad = [row["case"] for row in found
           if not row["equal"] or row["encoded_by_negatives"] > TEXTS or (not row["trained"]
                                                                          and row["encoded_after"] > TEXTS)]
    if bad:
        raise SystemExit(f"more than {TEXTS} text encoded, or other bytes: {', '.join(bad)}")
    slow = [row["case"] for row in found if row["to_negatives"] + row["after"] > SECONDS]
    if slow:
        print(f"slower than {SECONDS:.0f} s without training: {', '.join(slow)}")


def rows(path: Path) -> Iterator[Row]:
    """One JSON object a line."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def text(row: Row) -> str:
    """A line of JSON."""
    return json.dumps(row, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
