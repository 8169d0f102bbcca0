"""The live tree: which files, and the digest of the bytes that were read."""

from __future__ import annotations

import glob as system
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.store.live import LiveTree, find, tree_pin
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
