"""The remembered spec: only for the very bytes of its files, and of the code that read them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import embspec
from embspec.errors import EmbspecError, Where
from embspec.plan.keys import key
from embspec.plan.nodes import expand
from embspec.plan.plan import Recipes, plan
from embspec.plan.values import Wish
from embspec.spec.load import load
from embspec.stages.street import INTRODUCED, SHARED, STREET
from embspec.store import memo
from embspec.store.memo import Resolved
from embspec.store.places import Places, places
from tests.support.toys import Toys

BASE = "embspec: 1\ncorpus: {path: docs/*.md}\n"
SPEC = """embspec: 1
extends: base.yaml
pairs:
  - {name: gold, path: gold.jsonl, trust: gold}
split: {test: 0.5}
gates:
  - recall@10 of bm25 >= 0.5
"""


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A project whose spec extends another."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "base.yaml").write_text(BASE)
    (tmp_path / "specs" / "x.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return places("specs/x.yaml")


def save(at: Places) -> Resolved:
    """Read the spec without a memory, and remember it."""
    found = load(os.path.relpath(at.spec), root=at.root)
    spec = Resolved(found.values, found.written, found.files)
    memo.save(at, spec, found.digests)
    return spec


def test_what_is_remembered_is_what_was_read(at: Places) -> None:
    """Values, their order, places and files."""
    assert memo.load(at) is None
    spec = save(at)
    found = memo.load(at)
    assert found == spec
    assert found is not None and list(found.values) == list(spec.values)
    assert found.written["split.test"] == Where("specs/x.yaml", 5, 9)


def test_both_ways_give_the_same_keys(at: Places) -> None:
    """The shortcut of the no-op decides nothing."""
    spec = save(at)
    kept = memo.load(at)
    assert kept is not None
    ways = [
        plan(expand(STREET, values), {}, Toys({}), Wish(), Recipes(SHARED, INTRODUCED))
        for values in (spec.values, kept.values)
    ]
    assert [key(s.named) for s in ways[0].steps] == [key(s.named) for s in ways[1].steps]


@pytest.mark.parametrize("file", ["x.yaml", "base.yaml"])
def test_any_byte_of_the_chain_forgets_it(at: Places, file: str) -> None:
    """A comment too: positions may have moved. The old bytes are remembered again."""
    spec = save(at)
    path = Path(at.folder, file)
    before = path.read_bytes()
    path.write_bytes(before + b"# more\n")
    assert memo.load(at) is None
    path.write_bytes(before)
    assert memo.load(at) == spec
    path.unlink()
    assert memo.load(at) is None


def test_an_edit_while_it_is_read_is_another_spec(at: Places) -> None:
    """The memory stands for the bytes that were read, not for those that lie there by then."""
    found = load(os.path.relpath(at.spec), root=at.root)
    text = Path(at.spec).read_text()
    Path(at.spec).write_text(text.replace("test: 0.5", "test: 0.6"))
    memo.save(at, Resolved(found.values, found.written, found.files), found.digests)
    assert memo.load(at) is None
    Path(at.spec).write_text(text)
    assert memo.load(at) is not None


def test_two_specs_of_one_stem_are_refused(at: Places) -> None:
    """They would take turns in `out/NAME`; a spec that was moved is no such pair."""
    save(at)
    Path(at.root, ".git").mkdir()
    Path(at.folder, "more").mkdir()
    other = Path(at.folder, "more", "x.yaml")
    other.write_text(SPEC.replace("base.yaml", "../base.yaml"))
    with pytest.raises(EmbspecError) as caught:
        memo.load(places(str(other)))
    assert caught.value.problems[0].code == "spec.same-stem"
    os.unlink(at.spec)
    assert memo.load(places(str(other))) is None


def test_times_do_not_count(at: Places) -> None:
    """A checkout touches the files and changes nothing."""
    save(at)
    os.utime(at.spec, ns=(1, 1))
    assert memo.load(at) is not None


def test_other_code_forgets_it(at: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version of embspec, or a touched file of spec/, the street or the gate language."""
    save(at)
    with monkeypatch.context() as patch:
        patch.setattr(embspec, "__version__", "99.0")
        assert memo.load(at) is None
    package = Path(embspec.__file__).parent
    real = os.stat
    for path in [package / "stages" / "street.py", package / "measure" / "gate.py", package / "spec" / "resolve.py"]:

        def moved(name: str, path: Path = path) -> os.stat_result:
            info = real(name)
            return os.stat_result((*info[:6], info.st_size + 1, *info[7:])) if name == str(path) else info

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", moved)
            assert memo.load(at) is None, path
    assert memo.load(at) is not None


def test_from_another_folder_places_are_shown_from_there(at: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message names the file as a person here would type it."""
    save(at)
    monkeypatch.chdir(at.folder)
    found = memo.load(at)
    assert found is not None and found.written["split.test"].file == "x.yaml" and found.files[0] == at.spec


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"code": 1}'])
def test_a_broken_memory_is_none(at: Places, text: str) -> None:
    """State may be deleted, cut or of another version."""
    save(at)
    Path(at.state, "x.spec.cache").write_text(text)
    assert memo.load(at) is None


def test_it_holds_plain_values(at: Places) -> None:
    """JSON alone: nothing in it can run."""
    save(at)
    kept = json.loads(Path(at.state, "x.spec.cache").read_bytes())
    assert kept["values"]["split.test"] == 0.5 and kept["values"]["corpus.path"] == ["docs/*.md"]
