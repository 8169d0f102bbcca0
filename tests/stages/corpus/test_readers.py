"""Readers of whole files: what of a page is text, and each kind of bad file with code, place and words."""
from __future__ import annotations

import importlib
import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import IO, Any

import pytest

from embspec.errors import Problem
from embspec.stages import reading
from embspec.stages.corpus import docx as docx_reader
from embspec.stages.corpus import html as html_reader
from embspec.stages.corpus import parsers, pdf
from embspec.stages.corpus.blocks import Blocks
from embspec.stages.corpus.make import make
from embspec.stages.live import PARSERS
from embspec.stages.live import parsers as packages_of
from tests.support import papers
from tests.support.papers import cells, words
from tests.support.trees import MemoryTree, problems, run

Files = dict[str, "str | bytes"]


def built(folder: Path, files: Files, **params: Any) -> dict[str, dict[str, Any]]:
    """The documents that a tree gives, by id."""
    _, out = run(make, folder, {"corpus.path": ["**/*"], **params}, {"live": MemoryTree(files)})
    found = [reading.parse(line) for line in (out / "documents.jsonl").read_text("utf-8").split("\n")[:-1]]
    return {document["id"]: document for document in found}


def text_of(folder: Path, name: str, data: str | bytes) -> str:
    """The text that one file gives."""
    return str(built(folder, {name: data})[name]["text"])


def faults(folder: Path, files: Files) -> tuple[Problem, ...]:
    """The problems that a tree gives."""
    return problems(make, folder, {"corpus.path": ["**/*"]}, {"live": MemoryTree(files)})


def zipped(*members: tuple[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def lying(data: bytes, name: str, size: int) -> bytes:
    """An archive that gives another size of a file than it has, in the directory and before the file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        member = archive.getinfo(name)
    changed = bytearray(data)
    struct.pack_into("<L", changed, member.header_offset + 22, size)
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    struct.pack_into("<L", changed, at + 24, size)
    return bytes(changed)


DOCX = papers.docx(words("Salt.", "Dawn."))
BOMB = zipped(("word/document.xml", b"<a>" + b" " * (8 << 20) + b"</a>"))
BAD: list[tuple[str, str | bytes, str, str]] = [
    ("a.md", b"# Ice\n\nSalt \xff dawn.\n", "input.encoding", "byte 0xff at offset 12"),
    ("a.txt", "Salt".encode("utf-16"), "input.encoding", "UTF-16"),
    ("a.txt", b"\xef\xbb\xbf\n \n", "input.empty-text", "no text"),
    ("a.html", b"<p>caf\xe9", "input.encoding", "byte 0xe9 at offset 6"),
    ("a.html", b'<meta charset="Klingon"><p>x', "input.encoding", "'klingon'"),
    ("a.html", b'<meta charset="latin1"><p>\x81', "input.encoding", "byte 0x81 at offset 26"),
    ("a.html", "<script>x()</script><nav>menu</nav>", "input.empty-text", "no text"),
    ("a.html", "<div>" * 600 + "x", "input.unreadable", "too deep"),
    ("a.html", "".join(f"<i class=c{n}><p>x" for n in range(600)), "input.unreadable", "never closed"),
    ("a.rst", b"caf\xe9", "input.encoding", "0xe9"),
    ("a.rst", "Salt".encode("utf-16-le"), "input.encoding", "zero byte at offset 1"),
    ("a.html", "<p>Salt".encode("utf-16-le"), "input.encoding", "zero byte at offset 1"),
    ("a.rst", ".. toctree::\n\n   other\n", "input.empty-text", "no text"),
    ("a.rst", "".join("  " * n + "- x\n\n" for n in range(400)), "input.unreadable", "nested too deeply"),
    ("a.yml", "- {q: Q?, a: A}\n" * 300_000, "input.too-long", "4 MB"),
    ("a.pdf", papers.pdf("", ""), "input.no-text", "2 pages"),
    ("a.pdf", papers.pdf("Salt.", locked=True), "input.encrypted", "encrypted"),
    ("a.pdf", b"Salt.", "input.unreadable", "as PDF"),
    ("a.pdf", b"", "input.unreadable", "as PDF"),
    ("a.docx", b"Salt.", "input.unreadable", "as DOCX"),
    ("a.docx", zipped(("a.txt", b"Salt.")), "input.unreadable", "as DOCX"),
    ("a.docx", DOCX[:-40], "input.unreadable", "as DOCX"),
    ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "input.encrypted", "encrypted"),
    ("a.docx", BOMB, "input.bomb", "times larger"),
    ("a.docx", lying(BOMB, "word/document.xml", 9000), "input.unreadable", "as DOCX"),
    ("a.docx", zipped(("word/document.xml", b"<a/>"), kind=zipfile.ZIP_LZMA), "input.bomb", "packed in a way"),
    ("a.docx", zipped(("a.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')), "input.bomb", "entities"),
    ("a.docx", papers.docx(words("")), "input.empty-text", "no text"),
    ("a.parquet", b"Salt.", "input.unreadable", "as Parquet"),
    ("a.parquet", papers.parquet([{"id": 1, "body": "x"}]), "input.field", "there are: body, id"),
    ("a.parquet", papers.parquet([{"id": 1, "text": ""}]), "input.empty-text", "no text"),
    ("a.parquet", papers.parquet([{"id": 1, "text": b"x"}]), "input.type", "found bytes"),
    ("a.parquet", papers.parquet([{"id": 1, "text": "x"}] * 2), "input.duplicate", "a.parquet:1"),
    ("a.parquet", papers.parquet([]), "input.field", "no column"),
    ("a.csv", b"\xef\xbb\xbfid;text\n1;x\n", "input.delimiter", "semicolons"),
    ("a.csv", "id|text\n1|x\n", "input.delimiter", "bars"),
    ("a.jsonl", '{"_id": "a", "body": "x"}\n', "input.field", "there are: _id, body"),
    ("a.md", "---\n" + "a: 1\n" * 70_000 + "---\nx", "input.front-matter", "longer than"),
]


@pytest.mark.parametrize(("name", "data", "code", "said"), BAD, ids=[f"{n}-{bad[2]}" for n, bad in enumerate(BAD)])
def test_each_bad_file_is_told(name: str, data: str | bytes, code: str, said: str, tmp_path: Path) -> None:
    """Code, file and words of what is wrong, once, and what to do about it."""
    found = faults(tmp_path, {name: data})
    assert found[0].code == code and said in found[0].text, found
    assert found[0].where is not None and found[0].where.file == name
    assert found[0].fix or code == "input.type"
    assert len(found) == 1 or name.endswith(".parquet")


def test_an_empty_faq_is_told_beside_others(tmp_path: Path) -> None:
    """All that is wrong at once: a fault of one file hides none of another."""
    found = faults(tmp_path, {"a.jsonl": '{"id": 1, "text": ""}', "b.yml": "", "c.yml": "a: [", "d.yml": "# none\n"})
    assert [(problem.code, str(problem.where).partition(":")[0]) for problem in found] == [
        ("input.empty-text", "a.jsonl"), ("input.empty-text", "b.yml"), ("input.yaml", "c.yml"),
        ("input.empty-text", "d.yml")]


def test_answers_of_an_faq_may_be_a_list(tmp_path: Path) -> None:
    """Each of them is text of the document: the pairs look for it there."""
    data = "- {question: Q?, answer: [Brass., Steel.]}\n- {question: R?, answer: Oil.}\n"
    assert text_of(tmp_path, "a.yml", data) == "Brass.\n\nSteel.\n\nOil."


def test_a_number_without_end_is_a_text(tmp_path: Path) -> None:
    """YAML takes thousands of digits in sixteens, which Python does not write in tens."""
    number = "0x" + "f" * 5000
    page = f"---\ntitle: {number}\nw: [{number}, 0xff]\n---\nx"
    found = built(tmp_path, {"a.md": page}, **{"corpus.metadata": ["w"]})
    assert (found["a.md"]["title"], found["a.md"]["metadata"]) == (number, {"w": [number, 255]})


def test_a_scanned_pdf_is_told_of_ocr(tmp_path: Path) -> None:
    """What to do about pages without text."""
    assert "OCR" in faults(tmp_path, {"a.pdf": papers.pdf("")})[0].fix


def test_an_archive_of_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files without end are a bomb too, and so are texts that are too long together."""
    monkeypatch.setattr(docx_reader, "MEMBERS", 9)
    found = faults(tmp_path, {"a.docx": zipped(*((f"{n}.xml", b"") for n in range(10)))})
    assert found[0].code == "input.bomb" and "10 files" in found[0].text
    monkeypatch.setattr(docx_reader, "UNPACKED", 2 << 20)
    found = faults(tmp_path / "2", {"a.docx": zipped(*((f"{n}.xml", bytes(700_000)) for n in range(4)))})
    assert found[0].code == "input.bomb" and "2 MB of text" in found[0].text


def test_no_reader_keeps_a_bomb_in_memory(tmp_path: Path) -> None:
    """An archive that lies about its size is unpacked no further than it says."""
    data = lying(zipped(("word/document.xml", bytes(64 << 20))), "word/document.xml", 900)
    tracemalloc.start()
    try:
        faults(tmp_path, {"a.docx": data})
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


class Endless(io.RawIOBase):
    """Two gigabytes of one letter; counts what was read of them."""

    size = 2 << 30

    def __init__(self) -> None:
        self.read_ = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), self.size - self.read_)
        buffer[:count] = b"x" * count
        self.read_ += count
        return count


class EndlessTree(MemoryTree):
    """A file that no disk has to hold."""

    def __init__(self, name: str) -> None:
        super().__init__({name: b""})
        self.file = Endless()

    def open(self, name: str) -> IO[bytes]:
        """A stream over it."""
        return io.BufferedReader(self.file)  # type: ignore[return-value]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.md", "a.html", "a.rst"])
def test_a_line_of_two_gigabytes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused after the limit, with no more than that in memory."""
    monkeypatch.setattr(reading, "LIMIT", 4 << 20)
    tree = EndlessTree(name)
    found = problems(make, tmp_path, {"corpus.path": ["**/*"]}, {"live": tree})
    assert found[0].code == "input.too-long"
    assert tree.file.read_ <= parsers.PARSED + (1 << 20)


def test_a_package_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error for all files of a kind, with the line that installs it."""

    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(importlib, "import_module", missing)
    kinds: Files = {f"{n}.{end}": b"x" for n in range(2) for end in ("pdf", "docx", "html", "rst", "parquet")}
    found = faults(tmp_path, kinds)
    assert [problem.code for problem in found] == ["nowhere.package"] * 5
    assert {problem.fix for problem in found} == {'pip install "embspec[readers]"'}
    named = {problem.text.split("`")[1] for problem in found}
    assert named == {"pypdfium2", "python-docx", "selectolax", "docutils", "pyarrow"} == {*PARSERS.values()} - {
        "ruamel.yaml"}


def test_packages_that_a_corpus_asks_for() -> None:
    """Those of the endings that its paths name: nobody installs what no file needs."""
    assert packages_of({"corpus.path": ["docs/**/*.PDF", "a.html", "b.jsonl"]}) == ("pypdfium2", "selectolax")
    assert packages_of({"corpus.path": ["docs/**/*", "beir"]}) == ()


def test_a_bug_of_ours_is_not_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a parser throws is the file's fault; what a line of ours does is not."""
    monkeypatch.setattr(pdf, "_page", lambda *given: {}["bug"])
    with pytest.raises(KeyError):
        # The line that raises is one of this test: as good as ours once it says so.
        monkeypatch.setitem(globals(), "__name__", "embspec.stages.corpus.pdf")
        faults(tmp_path, {"a.pdf": papers.pdf("Salt.")})


HTML = {
    "blocks": ("<h2>A <b>b</b></h2>one\n two<p>three<br>four<div>five</div>six",
               "## A b\n\none two\n\nthree\nfour\n\nfive\n\nsix"),
    "lists": ("<ul><li>a<ol><li>b</ol><li><p>c<p>d</ul>", "- a\n  - b\n- c\n\nd"),
    "tables": ("<table><caption>T</caption><tr><th>a<th>b|c<tr><td>1<br>2<td><table><tr><td>x</table></table>",
               "T\n\n| a | b\\|c |\n| --- | --- |\n| 1 2 | x |"),
    "code": ("<pre>\n x\n\n  ``` y\n</pre>", "````\n x\n\n  ``` y\n````"),
    "left out": ("<style>p{}</style><p hidden>no<p>yes<script>no</script><nav>no</nav><!-- no --><svg>no</svg>", "yes"),
    "entities": ("<p>&lt;a&gt; &amp;amp; &eacute;&nbsp;&#x41;&#xd800;", "<a> &amp; é\xa0A\ufffd"),
    "no heading of ours": ("<p># x<p>```", "\\# x\n\n\\```"),
    "declared": (b'<meta http-equiv=Content-Type content="text/html; charset=ISO-8859-1"><p>caf\xe9 \x80', "café €"),
    "declared by xml": (b'<?xml version="1.0" encoding="windows-1251"?><p>\xcf\xf0', "Пр"),
    "a mark goes before": ("\ufeff<meta charset=latin1><p>é", "é"),
}


@pytest.mark.parametrize("name", HTML)
def test_html(name: str, tmp_path: Path) -> None:
    """What a reader of the page sees, block by block."""
    given, text = HTML[name]
    assert text_of(tmp_path, "a.html", given) == text


def test_html_titles_and_metadata(tmp_path: Path) -> None:
    """Title, else heading, else the file's name; the first meta element of a name, in small letters."""
    head = '<html lang=de><title> A\nb </title><meta name=Author content=Ada><meta name=author content=Eve><p>x'
    found = built(tmp_path, {"a.htm": head, "b.html": "<p>x<h3>H</h3>", "c.html": "<p>x"},
                  **{"corpus.metadata": ["author", "lang"]})
    assert [document["title"] for document in found.values()] == ["A b", "H", "c"]
    assert found["a.htm"]["metadata"] == {"author": "Ada", "lang": "de"}


def test_html_is_bounded_before_it_is_parsed() -> None:
    """Ordinary pages pass however long they are, those that would take the square of their length do not."""
    assert html_reader._is_bounded("<div><p>x<b>y</b><br></div>" * 50_000)
    assert html_reader._is_bounded("<p><b>" + "<p>x" * 100_000)
    assert html_reader._is_bounded("<p>x<script>" + "if(a<b&&c>d){e()}" * 1000 + "</script><p>y"), "these open nothing"
    assert not html_reader._is_bounded("<script>a<b</script>" + "<div>" * 600)
    assert not html_reader._is_bounded("<b>" * 200 + "<p>x" * 100_000)


RST = {
    "roles": (":ref:`The ridge <ridge>`, :func:`~a.b.c`, :doc:`x`, `y`_, ``z``", "The ridge, c, x, y, z"),
    "unknown directives": (".. tab-item:: Linux\n   :sync: a\n\n   Run *it*:\n\n   .. hint:: now\n",
                           "Linux\n\nRun it:\n\nnow"),
    "code with Sphinx's options": (".. code-block:: c\n   :linenos:\n\n   int x;\n\n   y();\n",
                                   "```\nint x;\n\ny();\n```"),
    "lists": ("- a\n- b\n\n  1. c\n\n  more\n", "- a\n- b\n  - c\n\nmore"),
    "tables": ("= =\na b\n= =\n1 2\n= =\n", "| 1 | 2 |"),
    "no other file": ("x\n\n.. include:: /etc/hostname\n\n.. csv-table::\n   :file: /etc/hostname\n\n"
                      ".. raw:: html\n\n   <b>\n", "x"),
    "no date": ("on |today|\n\n.. |today| date::\n", "on today"),
    "substitutions": ("|x| it\n\n.. |x| replace:: Melt\n", "Melt it"),
    "no message": ("*open\n\nA\n-\n\n:bad:`x\n", "*open\n\n# A\n\n:bad:`x"),
    "a title that is none": ("A\n=\n\nB\n-\n\n - C\n   ====\n", "# A\n\n## B\n\nC"),
    "definitions": ("term\n  what it is\n\n:field: value\n\nline [1]_\n\n.. [1] note\n",
                    "term\n\nwhat it is\n\nfield: value\n\nline 1\n\nnote"),
}


@pytest.mark.parametrize("name", RST)
def test_rst(name: str, tmp_path: Path) -> None:
    """The text of the page alone: no message, no markup, nothing of another file, no date."""
    given, text = RST[name]
    found = text_of(tmp_path, "a.rst", given)
    assert found.replace("| a | b |\n| --- | --- |\n", "") == text


def test_rst_remembers_nothing_of_another_file(tmp_path: Path) -> None:
    """A role that one file defines, or makes the default, is text in the next all the same."""
    first = ".. role:: raw-html(raw)\n   :format: html\n\n.. default-role:: math\n\nx"
    second = "a :raw-html:`<b>` `y`"
    assert built(tmp_path, {"a.rst": first, "b.rst": second})["b.rst"]["text"] == text_of(tmp_path, "b.rst", second)


def test_docx(tmp_path: Path) -> None:
    """Headings by style or by the style it is based on, items by style or numbering, tables, in their order."""
    numbered = ('<w:p><w:pPr><w:numPr><w:ilvl w:val="1"/><w:numId w:val="1"/></w:numPr></w:pPr>'
                "<w:r><w:t>deep</w:t></w:r></w:p>")
    inner = f"<w:tbl><w:tr><w:tc>{words('x', 'y')}{cells(('z',))}</w:tc></w:tr></w:tbl>"
    body = (words("One", style="Heading1") + words("Salt.") + cells(("a", "b"), ("1", "2"))
            + words("Two", style="Chapter") + words("item", style="ListBullet") + numbered + inner)
    core = ("<dc:title>Tides</dc:title><dc:creator>Ada</dc:creator>"
            '<dcterms:created xsi:type="dcterms:W3CDTF">2024-05-01T10:00:00Z</dcterms:created>')
    files: Files = {"a.docx": papers.docx(body, core), "b.docx": papers.docx(body)}
    found = built(tmp_path, files, **{"corpus.metadata": ["author", "created"]})
    assert found["a.docx"]["text"] == ("# One\n\nSalt.\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n# Two\n\n- item\n"
                                      "  - deep\n\n| x y z |\n| --- |")
    assert [document["title"] for document in found.values()] == ["Tides", "One"]
    assert found["a.docx"]["metadata"] == {"author": "Ada", "created": "2024-05-01T10:00:00+00:00"}
    assert found["b.docx"]["metadata"] == {}, "the library would make up a date"


def test_docx_text_lies_in_many_things(tmp_path: Path) -> None:
    """Content controls, tracked insertions and links are read; what was taken out, and a table of contents, are not."""
    run = "<w:r><w:t>{}</w:t></w:r>"
    held = "".join(f"<w:{name}>{run.format(name)}</w:{name}>" for name in ("ins", "smartTag", "del", "hyperlink",
                                                                           "moveFrom", "moveTo", "fldSimple"))
    inline = f"<w:p>{held}<w:sdt><w:sdtContent>{run.format('sdt')}</w:sdtContent></w:sdt></w:p>"
    gallery = '<w:sdtPr><w:docPartObj><w:docPartGallery w:val="{}"/></w:docPartObj></w:sdtPr>'
    blocks = "".join(
        f"<w:sdt>{gallery.format(kind)}<w:sdtContent>{words(kind)}{cells(('a', 'b'))}</w:sdtContent></w:sdt>"
        for kind in ("Cover Pages", "Table of Contents"))
    row = f"<w:tr><w:sdt><w:sdtContent><w:tc>{words('x')}</w:tc></w:sdtContent></w:sdt></w:tr>"
    table = f"<w:tbl><w:sdt><w:sdtContent>{row}</w:sdtContent></w:sdt></w:tbl>"
    assert text_of(tmp_path, "a.docx", papers.docx(inline + blocks + table)) == (
        "inssmartTaghyperlinkmoveTofldSimplesdt\n\nCover Pages\n\n| a | b |\n| --- | --- |\n\n| x |\n| --- |")


def test_docx_images_are_not_unpacked(tmp_path: Path) -> None:
    """A picture that unpacks to more than a text may is nobody's concern."""
    data = papers.docx(words("Salt."), more={"word/media/image1.png": bytes(docx_reader.UNPACKED + 1)})
    assert text_of(tmp_path, "a.docx", data) == "Salt."


def test_pdf(tmp_path: Path) -> None:
    """Pages in order, titles from the properties, else from the file's name."""
    files: Files = {"a.pdf": papers.pdf("one\ntwo", "", "three", title="Tides"), "b.pdf": papers.pdf("x")}
    found = built(tmp_path, files, **{"corpus.metadata": ["author", "pages"]})
    assert [(d["title"], d["text"]) for d in found.values()] == [("Tides", "one\ntwo\n\nthree"), ("b", "x")]
    assert found["a.pdf"]["metadata"] == {"author": "Ada", "pages": 3}
    assert pdf._clean("exam\x02\r\nple  \r\nx\x00") == "example\nx"


def test_parquet_is_streamed(tmp_path: Path) -> None:
    """Groups of rows in their order, values as JSON has them, columns that nobody asks for unread."""
    rows = [{"_id": n, "text": f"t{n}", "other": b"\xff", "tags": ["a", None] if n else None,
             "metadata": {"lang": "en"}} for n in range(600)]
    found = built(tmp_path, {"a.parquet": papers.parquet(rows, group=70)}, **{"corpus.metadata": ["lang"]})
    assert len(found) == 600 and found["599"] == {
        "id": "599", "title": "", "text": "t599", "document": None, "metadata": {"lang": "en"}}


def test_blocks() -> None:
    """Blocks are apart by an empty line, items by none, and empty ones are left out."""
    blocks = Blocks()
    blocks.heading(9, " a\nb ")
    for text in ("", " \n", "one\n\n  two"):
        blocks.paragraph(text)
    blocks.item("x\ny", 2)
    blocks.item("")
    blocks.item("z")
    blocks.table([["", " "], []])
    blocks.code("\n\n")
    assert blocks.text() == "###### a b\n\none\ntwo\n\n  - x\n    y\n- z" and blocks.first == "a b"
