"""Where everything lies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from embspec.errors import EmbspecError
from embspec.store.places import Places, find_spec, places, store_folder


def touch(folder: Path, names: Sequence[str]) -> None:
    """Empty files; a name that ends in / is a folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            (folder / name).mkdir(exist_ok=True)
        else:
            (folder / name).write_text("")


@pytest.mark.parametrize(
    ("files", "given", "found"),
    [
        (["embspec.yaml"], None, "embspec.yaml"),
        (["embspec.yaml", "specs/a.yaml"], None, "embspec.yaml"),
        (["specs/a.yaml"], None, "specs/a.yaml"),
        (["specs/a.yml", "specs/a.lock", "specs/notes.md"], None, "specs/a.yml"),
        (["specs/a.yaml", "specs/b.yaml"], "specs/b.yaml", "specs/b.yaml"),
        (["anywhere/x.yaml"], "anywhere/x.yaml", "anywhere/x.yaml"),
    ],
)
def test_the_spec_of_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], given: str | None, found: str
) -> None:
    """As given, else embspec.yaml, else the only one under specs/."""
    touch(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    assert find_spec(given) == str(tmp_path / found)


@pytest.mark.parametrize(
    ("files", "given", "code", "code_exit"),
    [
        ([], None, "usage.no-spec", 2),
        (["specs/"], None, "usage.no-spec", 2),
        (["specs/a.yaml", "specs/b.yaml"], None, "usage.which-spec", 2),
        (["specs/a.yaml", "specs/b.yaml"], "specs/c.yaml", "spec.missing", 3),
        (["specs/"], "specs", "spec.missing", 3),
    ],
)
def test_no_spec_or_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], given: str | None, code: str, code_exit: int
) -> None:
    """The error lists the candidates."""
    touch(tmp_path, files)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EmbspecError) as caught:
        find_spec(given)
    (problem,) = caught.value.problems
    assert (problem.code, caught.value.exit) == (code, code_exit) and problem.fix
    assert all(f in problem.fix for f in files if f.endswith(".yaml"))


@pytest.mark.parametrize(
    ("files", "spec", "root"),
    [
        ([".git/", "specs/a.yaml"], "specs/a.yaml", "."),
        ([".git", "specs/a.yaml"], "specs/a.yaml", "."),
        ([".git/", "deep/er/a.yaml"], "deep/er/a.yaml", "."),
        ([".git/", "inner/.git/", "inner/specs/a.yaml"], "inner/specs/a.yaml", "inner"),
        (["specs/a.yaml"], "specs/a.yaml", "."),
        (["other/a.yaml"], "other/a.yaml", "other"),
    ],
)
def test_the_root_of_a_project(tmp_path: Path, files: list[str], spec: str, root: str) -> None:
    """The nearest folder with .git (a file in a work tree), else the parent of specs/, else the spec's folder."""
    if any((p / ".git").exists() for p in tmp_path.parents):
        pytest.skip("the temporary folder lies in a git work tree")
    touch(tmp_path, files)
    at = places(str(tmp_path / spec))
    assert at.root == os.path.normpath(tmp_path / root)
    name = os.path.splitext(os.path.basename(spec))[0]
    assert (at.name, at.lock) == (name, os.path.splitext(at.spec)[0] + ".lock")
    assert (at.out, at.state) == (os.path.join(at.root, "out", name), os.path.join(at.root, ".embspec"))


@pytest.mark.parametrize("other", ["a.yml"])
def test_two_specs_that_would_share_a_lock_are_refused(tmp_path: Path, other: str) -> None:
    """One stem, one lock."""
    touch(tmp_path, ["specs/a.yaml", f"specs/{other}"])
    for name in ("a.yaml", other):
        with pytest.raises(EmbspecError) as caught:
            places(str(tmp_path / "specs" / name))
        assert caught.value.problems[0].code == "spec.same-stem"


def test_shown_as_a_person_would_type_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to where the person is."""
    at = Places(str(tmp_path / "specs" / "a.yaml"), str(tmp_path), "a")
    monkeypatch.chdir(tmp_path)
    assert at.shown(at.lock) == "specs/a.lock"


def test_the_store() -> None:
    """$EMBSPEC_STORE, else the cache folder of the user."""
    assert store_folder({"EMBSPEC_STORE": "/x/y"}) == "/x/y"
    assert store_folder({"EMBSPEC_STORE": ""}) == store_folder({}) == os.path.expanduser("~/.cache/embspec/v1")
    assert store_folder({"EMBSPEC_STORE": "rel"}) == os.path.abspath("rel")
