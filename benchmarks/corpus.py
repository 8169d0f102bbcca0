"""100,000 documents read, chunked, grouped and split: seconds and peak memory; and what one changed file opens.

    python benchmarks/corpus.py [--part many] [--documents 100000] [--edited 10000] [--tokens 128] [--limit 600]

Documents are Markdown files from a generator, each with its headings, a list or a table, some copies of others and some
nearly so; every tenth is an answer. Chunks are counted by the tokenizer of a table of word vectors. Each stage is built
by a process of its own, as a user runs it, so that its peak is known; all of them have to stay under the limit. Then,
of another project with fewer files, one is changed, and the files that the next build opens are counted by Python's own
audit events.
"""
from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clock import RESULTS, machine, save, table

from embspec.store.live import package_folders

SPEC = """\
embspec: 1
name: corpus
model:
  base:
    static:
      weights: package:wordllama/weights/l2_supercat_256.safetensors
      tokenizer: package:wordllama/tokenizers/l2_supercat_tokenizer_config.json
corpus:
  path: docs/**/*.md
  chunking: {{strategy: structure, tokens: {tokens}, overlap: 16, context: headings}}
pairs:
  - {{name: gold, path: gold.jsonl, trust: gold}}
split: {{min_queries: {{test: 20, validation: 10}}}}
"""
STAGES = ("corpus", "survey", "pairs.gold", "split")  # each with those before it that nobody named
COPIES, NEARLY = 50, 20  # every so manieth is a copy of another, or one with a few other words
ASKED = 10
WATCH = """\
import atexit, os, sys
seen = {}
def hear(event, args):
    if event == 'open' and isinstance(args[0], str) and args[0].endswith('.md'):
        seen[args[0]] = seen.get(args[0], 0) + 1
sys.addaudithook(hear)
pid = os.getpid()
def tell():
    if os.getpid() == pid:
        print(len(seen), sum(seen.values()), file=sys.stderr)
atexit.register(tell)
sys.argv = ['embspec', *sys.argv[1:]]
from embspec.__main__ import main
main()
"""
PLAIN = "import sys; sys.argv = ['embspec', *sys.argv[1:]]; from embspec.__main__ import main; main()"

Row = dict[str, Any]


class Ran(NamedTuple):
    """A build: what it took, what it said of its stages, and its last word."""

    seconds: float
    cpu: float
    megabytes: float
    stages: Mapping[str, Row]
    last: str


def texts(count: int) -> Iterator[str]:
    """Pages of about 1.2 kB, the same for the same count."""
    rng = random.Random(5)
    words = vocabulary()
    before: list[list[str]] = []
    for number in range(count):
        drawn = rng.choices(words, k=180)
        if before and number % COPIES == 0:
            drawn = rng.choice(before)
        elif before and number % NEARLY == 0:
            drawn = list(rng.choice(before))
            for at in rng.sample(range(40, 160), 2):
                drawn[at] = rng.choice(words)
        if number % 40 == 1:
            before.append(drawn)
        yield page(drawn)


def vocabulary() -> list[str]:
    """Words that the tokenizer knows whole, as it does most words of a language."""
    folder = package_folders("wordllama")[0]
    text = Path(folder, "tokenizers/l2_supercat_tokenizer_config.json").read_text(encoding="utf-8")
    known = json.loads(text)["model"]["vocab"]
    return sorted(word[1:] for word in known if re.fullmatch("▁[a-z]{3,9}", word))


def page(drawn: list[str]) -> str:
    """Headings, paragraphs, and a list or a table."""
    said = [" ".join(drawn[at:at + 12]) for at in range(6, 174, 12)]
    rows = [f"- {line}" for line in said[6:9]] if len(drawn[0]) % 2 else [
        "| name | value |", "|---|---|", *(f"| {line[:20]} | {line[20:]} |" for line in said[6:9])]
    return "\n".join([
        f"# {drawn[0]} {drawn[1]}", "", f"{'. '.join(said[:3])}.", "", f"## {drawn[2]}", "", f"{'. '.join(said[3:6])}.",
        "", *rows, "", f"## {drawn[3]} {drawn[4]}", "", f"{'. '.join(said[9:])}.", ""])


def lay(project: Path, count: int, tokens: int) -> None:
    """Documents in folders of a hundred, questions and the spec."""
    (project / ".git").mkdir(parents=True)
    with open(project / "gold.jsonl", "w", encoding="utf-8") as gold:
        for number, text in enumerate(texts(count)):
            name = f"docs/{number // 100:04}/{number:06}.md"
            if number % 100 == 0:
                (project / name).parent.mkdir(parents=True)
            (project / name).write_text(text, encoding="utf-8")
            if number % ASKED == 3:  # none that is a copy
                words = text.split()
                gold.write(json.dumps({"query": " ".join(words[20:60:8]), "positive": name}) + "\n")
    (project / "corpus.yaml").write_text(SPEC.format(tokens=tokens), encoding="utf-8")


def build(project: Path, store: Path, to: str, program: str = PLAIN) -> Ran:
    """A build up to a stage, with the peak of its process and of those that it started."""
    env = {**{name: value for name, value in os.environ.items() if name != "CI"}, "EMBSPEC_STORE": str(store),
           "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    args = [sys.executable, "-c", program, "build", "corpus.yaml", "--to", to, "--json"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(args, cwd=project, env=env, stdout=out, stderr=err)
        _, child.returncode, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        said, last = (file.seek(0) or file.read().decode() for file in (out, err))
    if child.returncode:
        raise SystemExit(f"the build ended with {child.returncode}:\n{said}{last}")
    stages = {stage["name"]: stage for stage in json.loads(said)["stages"] if stage["state"] == "run"}
    return Ran(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, stages, last.strip())


def many(folder: Path, count: int, tokens: int) -> Row:
    """Every stage of a corpus, each in a process of its own."""
    project, store = folder / "many", folder / "store"
    lay(project, count, tokens)
    found = []
    for to in STAGES:
        ran = build(project, store, to)
        rows = max((stage["counts"].get("rows", 0) for stage in ran.stages.values()), default=0)
        found.append({"stages": list(ran.stages), "seconds": round(ran.seconds, 1), "cpu": round(ran.cpu, 1),
                      "megabytes": round(ran.megabytes), "rows": rows})
    return {"machine": machine(), "documents": count, "tokens": tokens, "builds": found}


def edited(folder: Path, count: int, tokens: int) -> Row:
    """One file of so many is changed: the files that are opened, read and cut again."""
    project, store = folder / "edited", folder / "store-edited"
    lay(project, count, tokens)
    build(project, store, "corpus")
    path = next(iter(sorted((project / "docs").rglob("*7.md"))))
    path.write_text(path.read_text(encoding="utf-8") + "\nSalt is spread before dawn.\n", encoding="utf-8")
    ran = build(project, store, "corpus", WATCH)
    files, times = map(int, ran.last.splitlines()[-1].split())
    counts = ran.stages["corpus"]["counts"]
    return {"machine": machine(), "documents": count, "tokens": tokens, "opened": files, "times": times,
            "read": counts["files_read"], "cut": counts["cut"],
            "seconds": round(ran.seconds, 1), "megabytes": round(ran.megabytes)}


def main() -> None:
    """Measure, print the tables, write results/corpus.json; a part that is not measured stays as it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("many", "edited"), help="only this one")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--edited", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=128, help="of a chunk")
    parser.add_argument("--limit", type=int, default=600, help="MB that no process may pass")
    given = parser.parse_args()
    file = RESULTS / "corpus.json"
    found: dict[str, Row] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    with tempfile.TemporaryDirectory(prefix="embspec-corpus-") as name:
        if given.part != "many":
            found["edited"] = edited(Path(name), given.edited, given.tokens)
        if given.part != "edited":
            found["many"] = many(Path(name), given.documents, given.tokens)
        save("corpus", found)
        report(found, given.limit)


def report(found: Mapping[str, Row], limit: int) -> None:
    """What was measured, and an end in tears where it is not as it should be."""
    bad = []
    if "many" in found:
        row, builds = found["many"], found["many"]["builds"]
        print(f"{row['documents']} documents in chunks of {row['tokens']} tokens\n{row['machine']}")
        print(table(("built", "seconds", "processor", "peak MB", "rows"), [
            (" ".join(each["stages"]), f"{each['seconds']:.1f}", f"{each['cpu']:.1f}", str(each["megabytes"]),
             str(each["rows"])) for each in builds]))
        bad += [f"{' '.join(each['stages'])}: {each['megabytes']} MB" for each in builds if each["megabytes"] > limit]
    if "edited" in found:
        one = found["edited"]
        print(f"one of {one['documents']} files changed: {one['opened']} opened ({one['times']} times), "
              f"{one['read']} read, {one['cut']} cut, {one['seconds']} s, {one['megabytes']} MB")
        bad += [f"{one['opened']} opened, {one['read']} read"] if (one["opened"], one["read"]) != (1, 1) else []
    if bad:
        raise SystemExit("not as it should be: " + "; ".join(bad))


if __name__ == "__main__":
    main()
