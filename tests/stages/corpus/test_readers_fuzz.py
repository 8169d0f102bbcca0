"""Files of every kind, damaged: each is read, or refused with a code, in bounded time and memory."""
from __future__ import annotations

import io
import resource
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError
from embspec.stages.corpus.make import make
from embspec.stages.corpus.readers import READERS
from tests.support import papers
from tests.support.trees import MemoryTree, run

CORE = "<dc:title>T</dc:title><dcterms:created xsi:type='dcterms:W3CDTF'>2024-01-02T03:04:05Z</dcterms:created>"
SEEDS: dict[str, bytes] = {
    "a.jsonl": b'{"_id":"a","title":"t","text":"x","metadata":{"lang":["de"]}}\n{"id":2,"text":"caf\xc3\xa9"}\n',
    "a.csv": b'id,title,text,lang\n1,"a, b",x,de\n2,,y,en\n',
    "a.tsv": b"id\ttext\n1\tx\n",
    "a.parquet": papers.parquet([{"id": n, "text": f"t{n}", "metadata": {"lang": "de"}} for n in range(3)]),
    "a.md": b"---\ntitle: A\nlang: [a, b]\ncreated: 2024-01-01\n---\n# H\n\n```\ncode\n```\n",
    "a.html": b"<html lang=en><title>T</title><meta name=lang content=x><h1>H <b>x</b></h1><p>a<br>b<ul><li>c<ul><li>d"
              b"</ul></ul><pre>e</pre><table><tr><th>f<td><table><tr><td>g</table></table><nav>h</nav>",
    "a.htm": b"<meta charset=latin1><p>caf\xe9<b><i>y</b></i>",
    "a.txt": b"plain\n\ntext\n",
    "a.rst": b":lang: de\n\nT\n=\n\nx :ref:`y <z>` |s| [1]_\n\n.. |s| replace:: S\n.. code-block:: c\n   :linenos:\n\n"
             b"   int x;\n\n.. note:: n\n\n- a\n\n  * b\n\n== ==\na  b\n== ==\n1  2\n== ==\n\n.. tab:: u\n\n   v\n",
    "a.pdf": papers.pdf("one (two)\nthree", "four", title="T"),
    "a.docx": papers.docx(papers.words("H", style="Heading1") + papers.words("p") + papers.cells(("a", "b")), CORE),
    "a.yml": b"title: T\nmetadata: {lang: de}\nq:\n  - question: Q?\n    answer: A\n  - &a {question: R, answer: *a}\n",
    "a.yaml": b"Why?: Because.\n",
}
PIECES = (
    *(b"\0", b"\xff", b"\n", b"<", b"&#xD800;", b"..", b":: ", b"```", b"`", b"|", b"---\n", b"&a ", b"*a", b"{", b'"'),
    *(b"/Encrypt", b"/Count 99999", b"99999999999", b"-1", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<table>", b"<p>"),
    *(b".. code::\n\n  x\n", b".. foo:: bar\n   :x: y\n\n   z\n", b"PK\x01\x02", b'w:val="x"'),
    b"metadata: &m {metadata: *m}\n",
)
PLACE = st.floats(0, 1, allow_nan=False)
CHANGES = st.lists(
    st.tuples(st.sampled_from(("flip", "cut", "insert", "drop", "repeat", "join")), PLACE, PLACE, st.integers(0, 255)),
    max_size=5,
)
GROWTH = 256 << 10  # KiB that the process may take for all of it; most are the parsers themselves


def changed(data: bytes, changes: list[tuple[str, float, float, int]]) -> bytes:
    """A file with some damage: bits turned, the end or a part cut away, pieces put in, other files behind it."""
    for kind, first, last, number in changes:
        start, end = sorted((int(first * len(data)), int(last * len(data))))
        piece = PIECES[number % len(PIECES)]
        if kind == "flip" and start < len(data):
            data = data[:start] + bytes([data[start] ^ (1 << number % 8)]) + data[start + 1:]
        elif kind == "cut":
            data = data[:end]
        elif kind == "insert":
            data = data[:start] + piece + data[start:]
        elif kind == "drop":
            data = data[:start] + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[start:end] * (number % 4) + data[end:]
        elif kind == "join":
            data += [*SEEDS.values()][number % len(SEEDS)]
    return data


def inside(data: bytes, changes: list[tuple[str, float, float, int]]) -> bytes:
    """An archive whose files are damaged, and not the archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as fresh:
        for number, name in enumerate(archive.namelist()):
            fresh.writestr(name, changed(archive.read(name), changes[number % 3 :: 3]))
    return out.getvalue()


def read(name: str, data: bytes) -> None:
    """The corpus of one file is made, or refused with problems of the family `input` that can be said."""
    with TemporaryDirectory() as folder:
        try:
            run(make, Path(folder), {"corpus.path": ["**/*"]}, {"live": MemoryTree({name: data})})
        except EmbspecError as error:
            assert all(problem.code.startswith("input.") and problem.text for problem in error.problems)
            str(error).encode()


@pytest.mark.parametrize("name", SEEDS)
def test_the_seeds_are_whole(name: str, tmp_path: Path) -> None:
    """Damage starts from files that are read, one of each kind."""
    made, _ = run(make, tmp_path, {"corpus.path": ["**/*"]}, {"live": MemoryTree({name: SEEDS[name]})})
    assert made.stat["documents"] >= 1
    assert {"." + seed.partition(".")[2] for seed in SEEDS} == set(READERS)


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_files_are_read_or_refused(name: str) -> None:
    """Whatever happened to a file, nothing but problems come out, and memory stays where it was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    @settings(max_examples=40, derandomize=True, deadline=None, database=None)
    @given(CHANGES, st.booleans())
    def damaged(changes: list[tuple[str, float, float, int]], within: bool) -> None:
        read(name, inside(SEEDS[name], changes) if within and name == "a.docx" else changed(SEEDS[name], changes))

    damaged()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH
