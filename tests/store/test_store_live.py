"""The live tree: which files, and the digest of the bytes that were read."""

from __future__ import annotations

import glob as system
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.store.live import LiveTree, anchored, find, hub_cache, path_of, selected, tree_pin
from embspec.store.objects import listing

FILES = [
    "a.md",
    "b.txt",
    "docs/c.md",
    "docs/d1.md",
    "docs/d2.md",
    "docs/deep/e.md",
    "docs/deep/er/f.md",
    "docs/x[1].md",
    "docs/ü.md",
    ".hidden.md",
    "docs/.git/g.md",
    "docs/.h.md",
    "other/docs/h.md",
    "docs/deep/e.txt",
    "docs.md/i.md",
    "docs/a+b.md",
    "docs/a-b.md",
]


def grow(folder: Path, names: Sequence[str]) -> None:
    """Files that hold their own name."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of all sorts."""
    folder = tmp_path_factory.mktemp("tree")
    grow(folder, FILES)
    return folder


def names(folder: Path, *globs: str) -> list[str]:
    """What the globs find."""
    return [f.name for f in find(str(folder), globs)]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("a.md", ["a.md"]),
        (
            "docs/*.md",
            ["docs/a+b.md", "docs/a-b.md", "docs/c.md", "docs/d1.md", "docs/d2.md", "docs/x[1].md", "docs/ü.md"],
        ),
        ("docs/d?.md", ["docs/d1.md", "docs/d2.md"]),
        ("docs/d[0-9].md", ["docs/d1.md", "docs/d2.md"]),
        ("docs/d[!1].md", ["docs/d2.md"]),
        ("docs/[a-c].md", ["docs/c.md"]),
        ("docs/x[[]1].md", ["docs/x[1].md"]),
        ("docs/a[+-]b.md", ["docs/a+b.md", "docs/a-b.md"]),
        ("**/e.md", ["docs/deep/e.md"]),
        (
            "docs/**/*.md",
            [
                "docs/a+b.md",
                "docs/a-b.md",
                "docs/c.md",
                "docs/d1.md",
                "docs/d2.md",
                "docs/deep/e.md",
                "docs/deep/er/f.md",
                "docs/x[1].md",
                "docs/ü.md",
            ],
        ),
        ("docs/deep/**", ["docs/deep/e.md", "docs/deep/e.txt", "docs/deep/er/f.md"]),
        ("*/docs/*.md", ["other/docs/h.md"]),
        ("*.md", ["a.md"]),
        ("nowhere/*.md", []),
        ("docs", []),
        ("docs/", []),
    ],
)
def test_globs(tree: Path, glob: str, expected: list[str]) -> None:
    """Names in order, POSIX, hidden files and folders left out."""
    assert names(tree, glob) == sorted(expected)


PARTS = st.sampled_from(
    ["docs", "*", "**", "deep", "d?.md", "*.md", "[a-e]*", "e.*", "c.md", "[!a]*", "er", "x[[]1].md", "*[0-9].md"]
)


@given(st.lists(PARTS, min_size=1, max_size=4))
@settings(max_examples=150)
def test_globs_find_what_python_finds(tree: Path, parts: list[str]) -> None:
    """A second implementation: the standard library's glob, which knows the same words."""
    pattern = "/".join(parts)
    found = {p for p in system.glob(pattern, root_dir=tree, recursive=True) if (tree / p).is_file()}
    assert names(tree, pattern) == sorted(found)


def test_several_globs_are_one_list(tree: Path) -> None:
    """A file that two of them match is there once, and their order is free."""
    assert names(tree, "docs/*.md", "docs/c.md", "a.md") == names(tree, "a.md", "docs/*.md")


def test_paths_outside_the_folder_keep_their_dots(tree: Path) -> None:
    """As written in the spec: `../` is part of the name."""
    assert names(tree / "docs", "../*.md", "../docs/c.md") == ["../a.md", "../docs/c.md"]


def test_an_anchor_is_the_folder_of_the_file_that_named_the_pattern(tree: Path) -> None:
    """`folder//pattern`: the same names wherever the spec that extends it lies."""
    assert names(tree / "other", "../docs//deep/*.md") == names(tree / "docs", "deep/*.md") == ["deep/e.md"]


@given(st.lists(PARTS, min_size=1, max_size=4), st.sampled_from(["", "docs//", "../tree//", "../tree/docs//"]))
@settings(max_examples=100)
def test_a_name_leads_back_to_its_file(tree: Path, parts: list[str], anchor: str) -> None:
    """From glob and name to the path that it was found at, and to none for a name that the glob does not give."""
    pattern = anchor + "/".join(parts)
    found = {each.name: each.path for each in find(str(tree), [pattern])}
    assert {name: path_of(str(tree), pattern, name) for name in found} == found
    others = {each.name for each in find(str(tree), [anchor + "**"])} - found.keys()
    assert not any(path_of(str(tree), pattern, name) for name in others)


@pytest.mark.parametrize(("folder", "glob", "file"), [
    ("", "program:b.txt", "b.txt"), ("other", "program:../docs//deep/e.txt", "docs/deep/e.txt"),
    ("docs", "program:../a.md", "a.md"), ("", "program:docs/x[[]1].md", "docs/x[1].md"),
])
def test_a_program_is_told_from_documents(tree: Path, folder: str, glob: str, file: str) -> None:
    """The same file has another name where a command names it; the name leads back to it here and in a revision."""
    at = str(tree / folder)
    (found,) = find(at, [glob])
    assert found.name.startswith("program:") and Path(found.path).read_text() == file
    assert path_of(at, glob, found.name) == os.path.normpath(found.path) == str(tree / file)
    assert selected(at, [glob], [str(tree / name) for name in FILES]) == {found.name: str(tree / file)}
    plain = glob.removeprefix("program:")
    assert {each.name for each in find(at, [glob, plain])} == {found.name, found.name.removeprefix("program:")}
    assert anchored(glob) == anchored(plain)
    assert LiveTree([found]).open(found.name).read().decode() == file


def test_a_name_with_dots_leads_back(tree: Path) -> None:
    """What lies outside of the folder keeps its dots, and is found by them."""
    assert path_of(str(tree / "docs"), "../*.md", "../a.md") == str(tree / "a.md")
    assert path_of(str(tree / "docs"), "../*.md", "../b.txt") == ""


def test_links(tmp_path: Path) -> None:
    """A link to a file is that file; one to nothing is named; a pipe is no document."""
    grow(tmp_path, ["docs/a.md", "real.md"])
    os.symlink(tmp_path / "real.md", tmp_path / "docs" / "link.md")
    os.mkfifo(tmp_path / "docs" / "pipe.md")
    assert names(tmp_path, "docs/*.md") == ["docs/a.md", "docs/link.md"]
    os.symlink("gone", tmp_path / "docs" / "z.md")
    with pytest.raises(EmbspecError) as caught:
        find(str(tmp_path), ["docs/*.md"])
    assert caught.value.problems[0].code == "input.dangling-link"


def test_a_linked_folder_is_never_left_out_silently(tmp_path: Path) -> None:
    """Where a glob would go on into it, it is an error; where it would not, it is nobody's business."""
    grow(tmp_path, ["docs/a.md", "other/b.md"])
    os.symlink(tmp_path / "other", tmp_path / "docs" / "linked")
    assert names(tmp_path, "docs/*.md") == ["docs/a.md"]
    for glob in ("docs/**/*.md", "docs/*/*.md"):
        with pytest.raises(EmbspecError) as caught:
            find(str(tmp_path), [glob])
        assert caught.value.problems[0].code == "input.linked-folder"


def test_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    """A link to a file, the folder of a glob, a path in full: all of it stays below the root, where one is given."""
    root = tmp_path / "project"
    grow(tmp_path, ["project/docs/a.md", "project/b.md", "outside/c.md"])
    os.symlink(root / "b.md", root / "docs" / "b.md")
    os.symlink(tmp_path / "outside", root / "data")
    assert [f.name for f in find(str(root), ["docs/*.md"], root=str(root))] == ["docs/a.md", "docs/b.md"]
    os.symlink(tmp_path / "outside" / "c.md", root / "docs" / "c.md")
    for glob in ("docs/*.md", "docs/c.md", "data/*.md", "data/c.md"):
        with pytest.raises(EmbspecError) as caught:
            find(str(root), [glob], root=str(root))
        assert (caught.value.problems[0].code, caught.value.exit) == ("input.outside", 3)
        assert find(str(root), [glob])
    assert [f.name for f in find(str(root), ["../outside/*.md"], root=str(root))] == ["../outside/c.md"]
    os.symlink(root, tmp_path / "link")
    assert find(str(tmp_path / "link"), ["b.md"], root=str(tmp_path / "link"))


@pytest.mark.parametrize("name", [b"docs/\xff.md", b"docs/a\nb.md"])
def test_a_name_that_cannot_be_written_down_is_named(tmp_path: Path, name: bytes) -> None:
    """A byte that is not UTF-8, or a line break, in the name of a file that matches: an input error."""
    grow(tmp_path, ["docs/a.md"])
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x")
    except OSError:
        pytest.skip("this file system takes no such name")
    assert names(tmp_path, "docs/[a].md") == ["docs/a.md"]
    with pytest.raises(EmbspecError) as caught:
        find(str(tmp_path), ["docs/*.md"])
    assert (caught.value.problems[0].code, caught.value.exit) == ("input.file-name", 3)


@pytest.mark.parametrize("name", ("program:a.md", "program:b/a.md"))
def test_a_name_that_is_a_programs_is_refused(tmp_path: Path, name: str) -> None:
    """A document called as the programs are would be taken for one, and be lost; below a folder it is none."""
    for path in (tmp_path / name, tmp_path / "c" / name):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for glob in ("**/*.md", name):
        with pytest.raises(EmbspecError) as caught:
            find(str(tmp_path), [f"./{glob}"])
        assert caught.value.problems[0].code == "input.file-name"
    assert [f.name for f in find(str(tmp_path), ["c/**/*.md"])] == [f"c/{name}"]


def test_a_range_that_runs_backwards_is_named(tree: Path) -> None:
    """A spelling mistake, not a traceback."""
    with pytest.raises(EmbspecError) as caught:
        find(str(tree), ["docs/[z-a].md"])
    assert (caught.value.problems[0].code, caught.value.exit) == ("input.glob", 3)


def test_the_pin_names_count_and_content() -> None:
    """Order does not show; name, bytes and size do."""
    rows = [("b", "22", 2), ("a", "11", 1)]
    assert tree_pin(rows) == tree_pin(rows[::-1]) == f"sha256:{hashlib.sha256(listing(rows)).hexdigest()} 2 files"
    assert tree_pin(rows[:1]).endswith(" 1 file") and tree_pin([]).endswith(" 0 files")
    assert len({tree_pin([r]) for r in [("a", "11", 1), ("b", "11", 1), ("a", "12", 1), ("a", "11", 2)]}) == 4


def live(folder: Path, *globs: str) -> LiveTree:
    """A tree for a stage."""
    return LiveTree(find(str(folder), globs))


def rows(folder: Path, *files: str) -> list[tuple[str, str, int]]:
    """What the files hold now."""
    return [(n, hashlib.sha256((folder / n).read_bytes()).hexdigest(), (folder / n).stat().st_size) for n in files]


@pytest.mark.parametrize("read", ["whole", "part", "lines", "nothing", "twice", "left open"])
def test_however_it_is_read_the_digest_is_of_the_whole(tmp_path: Path, read: str) -> None:
    """What a stage leaves unread is read for it."""
    (tmp_path / "a").write_bytes(b"one\ntwo\n" * 200_000)
    tree = live(tmp_path, "a")
    if read in ("whole", "twice"):
        with tree.open("a") as file:
            assert file.read() == (tmp_path / "a").read_bytes()
    if read in ("part", "twice"):
        with tree.open("a") as file:
            assert file.read(5) == b"one\nt"
    if read == "lines":
        with tree.open("a") as file:
            assert next(iter(file)) == b"one\n"
    if read == "left open":
        file = tree.open("a")
        file.read(3)
    assert tree.consumed() == rows(tmp_path, "a")
    if read == "left open":
        file.close()


def test_the_digest_is_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    """An edit after the reading is the next build's."""
    (tmp_path / "a").write_text("then")
    tree = live(tmp_path, "a")
    with tree.open("a") as file:
        file.read()
    before = rows(tmp_path, "a")
    (tmp_path / "a").write_text("now")
    assert tree.consumed() == before


def test_a_file_that_changes_between_two_readings_stops_the_stage(tmp_path: Path) -> None:
    """It saw two contents: neither digest would be true."""
    (tmp_path / "a").write_text("then")
    tree = live(tmp_path, "a")
    with tree.open("a") as file:
        file.read()
    (tmp_path / "a").write_text("now")
    with tree.open("a") as file:
        file.read()
    with pytest.raises(EmbspecError) as caught:
        tree.consumed()
    assert (caught.value.problems[0].code, caught.value.exit) == ("input.changed", 3)


def test_a_stage_cannot_read_what_it_did_not_declare(tmp_path: Path) -> None:
    """Names outside the tree are not there."""
    grow(tmp_path, ["a", "b"])
    tree = live(tmp_path, "a")
    assert list(tree.names()) == ["a"]
    with pytest.raises(KeyError):
        tree.open("b")


def test_copies_hold_what_was_read(tmp_path: Path) -> None:
    """Where the bytes become objects, one copy of each file is kept, whole."""
    grow(tmp_path, ["a", "b"])
    (tmp_path / "kept").mkdir()
    count = iter(range(9))
    tree = LiveTree(find(str(tmp_path), ["?"]), lambda: str(tmp_path / "kept" / str(next(count))))
    for size in (1, -1):
        with tree.open("a") as file:
            file.read(size)
    tree.consumed()
    assert sorted(Path(c).read_text() for c in tree.copies()) == ["a", "b"]


def test_a_file_can_be_taken_by_its_digest(tmp_path: Path) -> None:
    """One that is known is not opened, and is pinned all the same; one that was read is known by what was read."""
    grow(tmp_path, ["a", "b", "c"])
    found = find(str(tmp_path), ["?"])
    true = {f.name: hashlib.sha256(f.name.encode()).hexdigest() for f in found}
    tree = LiveTree(found, known={"a": true["a"], "b": "0" * 64})
    assert (tree.digest("a"), tree.digest("b"), tree.digest("c")) == (true["a"], "0" * 64, "")
    for name in ("b", "c"):
        with tree.open(name) as file:
            file.read(0)
    assert (tree.digest("b"), tree.digest("c")) == (true["b"], true["c"])
    os.unlink(tmp_path / "a")
    assert tree.consumed() == [(name, digest, 1) for name, digest in true.items()]
    copied = LiveTree(found[1:], lambda: str(tmp_path / "copy"), {"b": true["b"]})
    assert copied.digest("b") == "", "what is kept as an object has to be read"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that must not be imported."""
    folder = tmp_path / "site" / "some_model"
    grow(folder, ["model/a.bin", "model/b.txt", "c.bin"])
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_files_of_an_installed_package(package: Path, tmp_path: Path) -> None:
    """Found without importing it, under names that say nothing of where it was installed."""
    assert names(tmp_path, "package:some_model/model/*.bin") == ["package:some_model/model/a.bin"]
    assert names(tmp_path, "package:some_model/c.bin") == ["package:some_model/c.bin"]
    (found,) = find(str(tmp_path), ["package:some_model/c.bin"])
    assert found.path == str(package / "c.bin")
    tree = LiveTree([found])
    with tree.open("package:some_model/c.bin") as file:
        assert file.read() == b"c.bin"
    assert os.path.abspath(tree.shown("package:some_model/c.bin")) == str(package / "c.bin")
    assert tree.consumed()[0][0] == "package:some_model/c.bin"


@pytest.mark.parametrize("glob", [
    "package:none_such/*", "package:some_model.model/a.bin", "package:../some_model/c.bin",
    "package:some_model/../*.py", "package:os/path.py", "package:some_model", "package:",
])
def test_a_package_has_no_other_files(package: Path, tmp_path: Path, glob: str) -> None:
    """One that is not there, a name that is none, a way out of its folder, a module that is no package: nothing."""
    (package.parent / "beside.py").write_text("")
    assert names(tmp_path, glob) == []


def test_a_package_in_several_folders(package: Path, tmp_path: Path) -> None:
    """One without an `__init__.py` may lie in several places: the first that has the files is it."""
    grow(tmp_path / "site" / "spread", ["other.txt"])
    grow(tmp_path / "site2" / "spread", ["m/a.bin"])
    sys.path.insert(0, str(tmp_path / "site2"))
    try:
        (found,) = find(str(tmp_path), ["package:spread/m/*"])
    finally:
        sys.path.remove(str(tmp_path / "site2"))
    assert found.path == str(tmp_path / "site2" / "spread" / "m" / "a.bin")


COMMIT = "0123456789" * 4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with one model, its files links to blobs."""
    folder = tmp_path / "hub" / "models--acme--tiny"
    grow(folder / "blobs", ["one", "two"])
    (folder / "snapshots" / COMMIT / "1_x").mkdir(parents=True)
    os.symlink("../../blobs/one", folder / "snapshots" / COMMIT / "a.json")
    os.symlink("../../../blobs/two", folder / "snapshots" / COMMIT / "1_x" / "b.json")
    grow(folder / "refs", ["main", "refs/pr/1"])
    for name in ("main", "refs/pr/1"):
        (folder / "refs" / name).write_text(COMMIT + "\n")
    (folder / "refs" / "gone").write_text("f" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.mark.parametrize("revision", ["main", "refs/pr/1", COMMIT])
def test_files_of_the_hubs_cache(cache: Path, tmp_path: Path, revision: str) -> None:
    """By branch or commit, under the commit's name alone."""
    found = find(str(tmp_path), [f"hub:acme/tiny@{revision}//*.json", f"hub:acme/tiny@{revision}//1_x/*.json"])
    assert [f.name for f in found] == [f"hub/{COMMIT}/1_x/b.json", f"hub/{COMMIT}/a.json"]
    assert [Path(f.path).read_text() for f in found] == ["two", "one"]


@pytest.mark.parametrize("place", ["acme/tiny@v2", "acme/tiny@gone", "acme/other@main", f"acme/tiny@{'0' * 40}",
                                   "acme/tiny@../../../tiny", "acme/tiny"])
def test_what_was_not_downloaded_is_not_there(cache: Path, tmp_path: Path, place: str) -> None:
    """Another revision, a branch whose commit was removed, another model: no files, and no error here."""
    assert names(tmp_path, f"hub:{place}//*.json") == []


@pytest.mark.parametrize(("environ", "expected"), [
    ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
    ({"HUGGINGFACE_HUB_CACHE": "/a"}, "/a"),
    ({"HF_HOME": "/b"}, "/b/hub"),
    ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
    ({}, "~/.cache/huggingface/hub"),
])
def test_where_the_hubs_cache_lies(environ: dict[str, str], expected: str) -> None:
    """By the variables of huggingface_hub, in its order."""
    assert hub_cache(environ) == os.path.expanduser(expected)


@given(st.lists(PARTS, min_size=1, max_size=4))
@settings(max_examples=150)
def test_globs_choose_the_same_files_of_a_revision(tree: Path, parts: list[str]) -> None:
    """Of a list of paths those are taken that a walk finds, under the same names."""
    paths = [str(tree / name) for name in FILES]
    for folder, glob in ((tree, "/".join(parts)), (tree / "other", "../docs//" + "/".join(parts))):
        found = {f.name: os.path.normpath(f.path) for f in find(str(folder), [glob])}
        assert selected(str(folder), [glob], paths) == found


def test_a_folder_set_apart_is_chosen_from_neither(tree: Path) -> None:
    """What builds write is no input, in a revision as on the disk."""
    paths, apart = [str(tree / name) for name in FILES], str(tree / "docs")
    found = [f.name for f in find(str(tree), ["**/*.md"], apart)]
    assert found == ["a.md", "docs.md/i.md", "other/docs/h.md"]
    assert sorted(selected(str(tree), ["**/*.md"], paths, apart)) == found


def test_paths_outside_are_chosen_too(tree: Path) -> None:
    """As `find` does: with dots, anchored, and files that are named without a star."""
    paths = [str(tree / name) for name in FILES]
    for folder, globs in ((tree / "docs", ["../*.md", "../docs/c.md"]), (tree / "other", ["../docs//deep/*.md"]),
                          (tree, ["a.md", "docs/x[[]1].md", str(tree / "docs" / "d?.md")])):
        assert sorted(selected(str(folder), globs, paths)) == names(folder, *globs)
