"""Files that were read before: one that changed is read alone, and the bytes are those of an empty desk."""
from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.plan.protocol import Made
from embspec.stages.corpus import known
from embspec.stages.corpus.make import make
from embspec.store import live
from tests.support.command import embspec
from tests.support.desk import Bank, Desk
from tests.support.papers import pdf
from tests.support.trees import MemoryTree

FILES: dict[str, str | bytes] = {
    **{f"docs/{n}.md": f"---\nlang: de\n---\n# Page {n}\n\ntext é\n" for n in range(20)},
    "a.html": "<title>T</title><p>x", "b.txt": "plain", "c.pdf": pdf("one"),
    "d.jsonl": "".join(f'{{"id": {n}, "text": "t{n}", "metadata": {{"lang": ["en", {n}]}}}}\n' for n in range(9)),
}
PARAMS: dict[str, Any] = {"corpus.path": ["**/*"], "corpus.metadata": ["lang", "path"]}
OLD = 1_700_000_000_123_456_789  # no file is so young that its time stamp says nothing


def built(
    folder: Path, files: dict[str, str | bytes], bank: Bank, known: bool = True, **params: Any
) -> tuple[Made, Sequence[str], bytes]:
    """One run: what it said, the files it opened, and its artefacts."""
    tree = MemoryTree(files)
    tree.known = known
    out = folder / "out"
    out.mkdir(parents=True, exist_ok=True)
    made = make({**PARAMS, **params}, {"live": tree}, out, Desk(folder / "scratch", bank=bank))
    return made, tree.opened, (out / "documents.jsonl").read_bytes() + (out / "manifest").read_bytes()


def test_one_changed_file_is_read_alone(tmp_path: Path) -> None:
    """Of a warm desk only what changed is opened, and the artefacts are those of an empty one."""
    bank = Bank()
    made, opened, before = built(tmp_path, FILES, bank, known=False)
    assert sorted(opened) == sorted(FILES) and made.counts["files_read"] == len(FILES)
    made, opened, again = built(tmp_path, FILES, bank)
    assert (opened, made.counts["files_read"], again) == ([], 0, before)
    changed = {**FILES, "docs/7.md": "# Other\n\ntext"}
    made, opened, warm = built(tmp_path, changed, bank)
    assert (opened, made.counts["files_read"]) == (["docs/7.md"], 1)
    assert warm == built(tmp_path, changed, Bank())[2] != before


@pytest.mark.parametrize("other", [
    {"corpus.metadata": ["path"]}, {"corpus.normalize": "none"}, {"corpus.fields.title": "lang"},
])
def test_a_desk_that_knows_other_parameters(other: dict[str, Any], tmp_path: Path) -> None:
    """What was kept under other parameters is not taken."""
    bank = Bank()
    built(tmp_path, FILES, bank)
    made, _, warm = built(tmp_path, FILES, bank, **other)
    assert made.counts["files_read"] == len(FILES)
    assert warm == built(tmp_path, FILES, Bank(), **other)[2]


def test_a_file_of_another_name_is_another_document(tmp_path: Path) -> None:
    """Equal bytes under another path are read again: path, ending and title differ."""
    bank, given = Bank(), {"corpus.metadata": ["path"]}
    built(tmp_path, {"a.md": "# A", "b.md": "b"}, bank, **given)
    files: dict[str, str | bytes] = {"c.md": "# A", "b.md": "b", "b.txt": "b"}
    _, opened, warm = built(tmp_path, files, bank, **given)
    assert opened == ["b.txt", "c.md"]
    assert warm == built(tmp_path, files, Bank(), **given)[2]


def test_problems_are_told_each_time(tmp_path: Path) -> None:
    """A file with a problem is not kept, and what is amiss with all of them is the same warm and cold."""
    files: dict[str, str | bytes] = {"a.md": "# A", "b.jsonl": '{"id": 1, "text": ""}\n{"id": 2, "txt": "x"}\n'}
    bank, said = Bank(), []
    for _ in range(2):
        with pytest.raises(EmbspecError) as caught:
            built(tmp_path, files, bank, **{"corpus.metadata": []})
        said.append(str(caught.value))
    for fresh in (bank, bank, Bank()):
        with pytest.raises(EmbspecError) as caught:
            built(tmp_path, {"a.md": "---\nlangauge: de\n---\nx", "b.md": "y"}, fresh)
        said.append(str(caught.value))
    assert said[0] == said[1] and said[2] == said[3] == said[4]
    assert "did you mean 'langauge'" in said[4]


def test_duplicates_are_told_with_their_places(tmp_path: Path) -> None:
    """Also of files that are not opened any more, line and all."""
    files: dict[str, str | bytes] = {"a.jsonl": '{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}\n', "b.md": "x"}
    bank, given = Bank(), {"corpus.metadata": []}
    built(tmp_path, files, bank, **given)
    with pytest.raises(EmbspecError) as caught:
        built(tmp_path, {**files, "c.csv": "id,text\n2,z\n"}, bank, **given)
    assert "a.jsonl:2" in caught.value.problems[0].text


def test_many_documents_of_one_file_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would have to lie in memory is not kept; one document does so anyway."""
    monkeypatch.setattr(known, "MOST", 100)
    rows = "".join(json.dumps({"id": n, "text": "x" * 60}) + "\n" for n in range(2))
    files: dict[str, str | bytes] = {"a.jsonl": rows, "b.md": "x" * 200}
    bank, given = Bank(), {"corpus.metadata": []}
    _, _, before = built(tmp_path, files, bank, **given)
    _, opened, warm = built(tmp_path, files, bank, **given)
    assert (opened, warm) == (["a.jsonl"], before)


def test_short_rows_are_not_held_for_their_shortness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metadata lie in memory too, and so does each row however short it is."""
    monkeypatch.setattr(known, "MOST", 4000)
    long = "".join(json.dumps({"id": n, "text": "x", "lang": "y" * 1500}) + "\n" for n in range(3))
    many = "".join(json.dumps({"id": f"m{n}", "text": "x", "lang": "y"}) + "\n" for n in range(9))
    few = "".join(json.dumps({"id": f"f{n}", "text": "x", "lang": "y"}) + "\n" for n in range(3))
    files: dict[str, str | bytes] = {"few.jsonl": few, "long.jsonl": long, "many.jsonl": many}
    bank, given = Bank(), {"corpus.metadata": ["lang"]}
    _, _, before = built(tmp_path, files, bank, **given)
    _, opened, warm = built(tmp_path, files, bank, **given)
    assert (opened, warm) == (["long.jsonl", "many.jsonl"], before)


def test_a_build_opens_the_file_that_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the stat cache and the bank on disk: one file read by the stage, and the lock of a fresh store."""
    docs = tmp_path / "project/specs/docs"
    docs.mkdir(parents=True)
    for number in range(60):
        (docs / f"{number:02}.md").write_text(f"# Page {number}\n\nSalt and dawn.\n", encoding="utf-8")
    (docs.parent / "a.yaml").write_text("embspec: 1\nname: a\ncorpus: {path: docs/*.md}\n", encoding="utf-8")
    monkeypatch.chdir(docs.parents[1])
    monkeypatch.delenv("CI", raising=False)

    def build(store: str) -> tuple[int, int, str]:
        for path in docs.iterdir():
            os.utime(path, ns=(OLD, OLD))
        monkeypatch.setenv("EMBSPEC_STORE", str(tmp_path / store))
        opened: list[str] = []
        reader = live._Reader
        monkeypatch.setattr(live, "_Reader", lambda path, copy: opened.append(path) or reader(path, copy))
        said = embspec("build", "--json")
        monkeypatch.setattr(live, "_Reader", reader)
        assert said.exit == 0, said.both
        (corpus,) = (stage for stage in said.json["stages"] if stage["name"] == "corpus")
        return corpus["counts"]["files_read"], len(opened), (docs.parent / "a.lock").read_text()

    assert build("store")[:2] == (60, 60)
    (docs / "07.md").write_text("# Other\n\nIce.\n", encoding="utf-8")
    read, opened, lock = build("store")
    assert (read, opened) == (1, 1)
    (docs.parent / "a.lock").unlink()
    assert build("fresh") == (60, 60, lock)
