"""The examples of docs/formats.md: a section's files, read under its spec, give its lines."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from embspec.stages.corpus.make import make
from embspec.stages.corpus.readers import READERS
from embspec.stages.live import PARSERS
from tests.support.papers import pdf
from tests.support.trees import MemoryTree, run

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
DOCUMENTS = PAGE.read_text(encoding="utf-8").split("\n## Documents\n")[1].split("\n## ")[0]
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A section: its title, its spec, its files by name with their language, and the lines they give."""

    title: str
    corpus: dict[str, Any]
    files: dict[str, tuple[str, str]]
    lines: str


def example(section: str) -> Example:
    """A section's fences."""
    fences = FENCE.findall(section)
    (spec,) = [text for language, name, text in fences if language == "yaml" and not name]
    corpus = YAML(typ="safe").load(spec)["corpus"]
    files = {name: (language, text) for language, name, text in fences if name}
    (lines,) = [text for language, name, text in fences if language == "json" and not name]
    return Example(section.split("\n")[0], corpus, files, lines)


EXAMPLES = [example(section) for section in DOCUMENTS.split("\n### ")[1:]]


def built(name: str, language: str, text: str, folder: Path) -> str | bytes:
    """What an example's file holds: itself, or what a program writes."""
    if language == "python":
        exec(compile(text.replace(f'"{name}"', repr(str(folder / name))), name, "exec"), {})
        return (folder / name).read_bytes()
    return pdf(*text.split("\n---\n")) if name.endswith(".pdf") else text


@pytest.mark.parametrize("shown", EXAMPLES, ids=lambda shown: shown.title)
def test_the_examples_are_true(shown: Example, tmp_path: Path) -> None:
    """What the page shows is what a build writes, to the byte."""
    fields = shown.corpus.pop("fields", {})
    params = {f"corpus.{name}": value for name, value in shown.corpus.items()}
    params |= {f"corpus.fields.{name}": value for name, value in fields.items()}
    params["corpus.path"] = [params["corpus.path"]] if isinstance(params["corpus.path"], str) else params["corpus.path"]
    files = {name: built(name, *rest, tmp_path) for name, rest in shown.files.items()}
    _, out = run(make, tmp_path, params, {"live": MemoryTree(files)})
    assert (out / "documents.jsonl").read_text(encoding="utf-8") == shown.lines


def test_every_ending_is_on_the_page() -> None:
    """The table names each ending that is read with the package that it needs, and an example shows each kind."""
    rows = [line.strip("| \n").split(" | ") for line in DOCUMENTS.split("\n") if line.startswith("| `.")]
    told = {ending: row[-1] for row in rows for ending in re.findall(r"`(\.\w+)`", row[0])}
    always = ("ruamel.yaml",)  # comes with embspec itself
    assert told == {end: "–" if PARSERS.get(end) in (None, *always) else PARSERS[end] for end in READERS}
    shown = {Path(name).suffix for each in EXAMPLES for name in each.files}
    assert shown == set(READERS) - {".htm", ".yaml"}
