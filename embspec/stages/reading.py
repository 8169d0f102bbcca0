"""What the reading stages share: files into lines and rows, each with its place, and all problems at once."""
from __future__ import annotations

import csv
import difflib
import json
import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from embspec.errors import EmbspecError, Problem, Where
from embspec.plan.protocol import Tree

LIMIT = 64 << 20
"""The most bytes of one line, or of one Markdown file: more is a mistake, and would not fit into memory."""
SHOWN = 20
"""How many problems are told one by one; the rest is counted."""
BOM = b"\xef\xbb\xbf"
_WORD = re.compile(r"(\*\*/|\*\*|\*|\?)|\[(!?)(\]?[^\]]*)\]|.", re.DOTALL)
_IN_CLASS = re.compile(r"[\\^\[\]&~|]|-(?=-)")
_STARS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

Names = tuple[str, ...]
"""Other spellings of one field, the first of them the one to show."""


class Row(NamedTuple):
    """One object of a jsonl file, or one row of a csv file, with its place."""

    where: Where
    values: Mapping[str, Any]


class Problems:
    """Collects what is wrong, so that a file's faults are told together and not one at a time."""

    def __init__(self) -> None:
        self.shown: list[Problem] = []
        self.more = 0

    def add(self, code: str, text: str, where: Where | None = None, fix: str = "", field: str = "") -> None:
        """Note a problem; past the limit it is only counted."""
        if len(self.shown) < SHOWN:
            self.shown.append(Problem(code, text, where, fix, field))
        else:
            self.more += 1

    @property
    def count(self) -> int:
        """How many there are, those too that are only counted."""
        return len(self.shown) + self.more

    def stop(self) -> None:
        """Raise what was noted, if anything was."""
        if not self.shown:
            return
        if self.more:
            self.shown.append(Problem("input.more", f"and {self.more} more of such problems, not shown"))
        raise EmbspecError(*self.shown)


def nfc(text: str) -> str:
    """Text in Unicode's composed form; most text already is."""
    return text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def nearest(word: str, known: Iterable[str]) -> str:
    """What a person may have meant, as a sentence; empty where nothing is near."""
    found = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean {found[0]!r}? " if found else ""


def some(names: Iterable[str], most: int = 12) -> str:
    """Names in order, for a message; the end of a long list is only counted."""
    # A name out of JSON may hold half a surrogate pair, which no terminal takes.
    ordered = [_visible(name.encode("utf-8", "replace").decode()) for name in sorted(names)]
    return ", ".join(ordered[:most]) + (f" and {len(ordered) - most} more" if len(ordered) > most else "")


def _visible(name: str) -> str:
    """A name with what nobody would see of it spelt out: a mark of the byte order, a blank that does not break."""
    return name if name.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def ending(name: str) -> str:
    """A file's ending with its dot, in small letters; empty where it has none."""
    base = name.rpartition("/")[2]
    return "." + base.rpartition(".")[2].lower() if "." in base.lstrip(".") else ""


def listed(value: Any) -> Names:
    """A text, or a list of texts, as a tuple; nothing where it is unset."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def matches(path: str, name: str) -> bool:
    """Is this file one that a path or glob of the spec means?"""
    return re.fullmatch("(?:.*/)?" + _pattern(_tail(path)), name) is not None


def within(folder: str, name: str) -> bool:
    """Does this file lie in a folder of the spec?"""
    tail = _tail(folder)
    return not tail or matches(tail + "/**", name)


def check_found(paths: Sequence[str], names: Sequence[str], field: str, problems: Problems, fix: str) -> None:
    """A path of the spec that no file matches is a problem: a source must not vanish in silence."""
    for path in paths:
        if not any(matches(path, name) or within(path, name) for name in names):
            problems.add("input.missing", f"no file matches {path}", None, fix, field)


def _tail(path: str) -> str:
    """A path as its tree names it: without the folder before `//` and without steps upwards."""
    parts = posixpath.normpath(path.rstrip("/").rpartition("//")[2]).split("/")
    return "/".join(part for part in parts if part not in (".", ".."))


def _pattern(glob: str) -> str:
    """A glob as a regular expression; it must pass whatever the live tree finds by it, or that is called missing."""
    return _WORD.sub(_word, glob)


def _word(found: re.Match[str]) -> str:
    if found[1]:
        return _STARS[found[1]]
    if found[3]:
        return f"[{'^' if found[2] else ''}{_IN_CLASS.sub(_escaped, found[3])}]"
    return re.escape(found[0])


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _decoded(data: bytes, where: Where, offset: int, problems: Problems) -> str | None:
    """Bytes as text; a byte that is not UTF-8 is a problem with its place."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
        said = f"not UTF-8: byte 0x{data[at]:02x} at offset {offset + at} of the file"
        if offset == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            said = "not UTF-8: the file is UTF-16 (its first two bytes say so)"
    place = where if not where.line else where._replace(column=len(data[:at].decode("utf-8")) + 1)
    problems.add("input.encoding", said, place, "save the file as UTF-8")
    return None


def _no_zero(data: bytes, where: Where, offset: int, problems: Problems) -> bool:
    """No text has a zero byte, but each other byte of UTF-16 is one: decoded, that would only look like text."""
    at = data.find(b"\0")
    if at >= 0 and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):  # what says that it is UTF-16 is told so
        text = f"not a text in UTF-8: a zero byte at offset {offset + at} of the file, as UTF-16 has them"
        problems.add("input.encoding", text, where, "save the file as UTF-8")
        return False
    return True


def lines(tree: Tree, name: str, problems: Problems) -> Iterator[str]:
    """A file's lines, newline kept; reading ends at the first place that cannot be read as a line."""
    with tree.open(name) as file:
        offset = 0
        for number, data in enumerate(iter(lambda: file.readline(LIMIT + 1), b""), 1):
            where = Where(name, number)
            if len(data) > LIMIT:
                fix = "split the document, or look for a missing line break"
                problems.add("input.too-long", f"this line is longer than {LIMIT >> 20} MB", where, fix)
                return
            skip = len(BOM) if number == 1 and data.startswith(BOM) else 0
            known = _no_zero(data, where, offset, problems)
            text = _decoded(data[skip:], where, offset + skip, problems) if known else None
            if text is None:
                return
            offset += len(data)
            # A checkout with other line endings must not change a document.
            yield text[:-2] + "\n" if text.endswith("\r\n") else text


def raw(tree: Tree, name: str, limit: int, problems: Problems) -> bytes | None:
    """A file's bytes at once; more of them than the limit are a problem."""
    with tree.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        problems.add("input.too-long", f"this file is longer than {limit >> 20} MB", Where(name), "split the document")
        return None
    return data


def decoded(data: bytes, where: Where, problems: Problems, charset: str = "utf-8") -> str | None:
    """A file's bytes as text, with the line's end of every system as one; a byte that is none is told by its offset."""
    if not _no_zero(data, where, 0, problems):
        return None
    if charset == "utf-8":
        skip = len(BOM) if data.startswith(BOM) else 0
        text = _decoded(data[skip:], where, skip, problems)
    else:
        try:
            text = data.decode(charset)
        except UnicodeDecodeError as error:
            said = f"not {charset}, which the file says it is: byte 0x{data[error.start]:02x} at offset {error.start}"
            problems.add("input.encoding", said, where, "save the file as UTF-8")
            return None
    return None if text is None else text.replace("\r\n", "\n")


def whole(tree: Tree, name: str, problems: Problems) -> str | None:
    """A file's text at once, for formats that are not read by line."""
    data = raw(tree, name, LIMIT, problems)
    return None if data is None else decoded(data, Where(name), problems)


def _no_constant(word: str) -> NoReturn:
    """Python's json takes NaN and Infinity, no other reader does."""
    raise ValueError(f"{word} is not a JSON number")


def parse(text: str) -> Any:
    """One JSON value; whatever is none is a ValueError."""
    return json.loads(text, parse_constant=_no_constant)


def json_rows(tree: Tree, name: str, problems: Problems) -> Iterator[Row]:
    """The objects of a jsonl file; empty lines are passed over."""
    fix = "write one JSON object on each line"
    for number, text in enumerate(lines(tree, name, problems), 1):
        if text.isspace():
            continue
        where = Where(name, number)
        try:
            value = parse(text.rstrip("\n"))  # or an end that is missing would be on the next line
        except json.JSONDecodeError as error:
            place, said, todo = where._replace(column=error.colno), f"not JSON: {error.msg.lower()}", fix
            if text.startswith("\ufeff"):  # files were put together, one of which began with it
                said, todo = "a byte order mark stands here, and may only begin a file", "take its three bytes out"
            problems.add("input.json", said, place, todo)
        except (ValueError, RecursionError) as error:
            said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
            problems.add("input.json", f"not JSON that can be read: {said}", where, fix)
        else:
            if isinstance(value, dict):
                yield Row(where, value)
            else:
                problems.add("input.json", f"expected an object, found {kind(value)}", where, fix)


def csv_rows(tree: Tree, name: str, needed: Sequence[Names], problems: Problems) -> Iterator[Row]:
    """The rows of a csv or tsv file by the names of its header."""
    delimiter = "\t" if ending(name) == ".tsv" else ","
    before = csv.field_size_limit(LIMIT)
    newest, start = [""], 1
    reader = csv.reader(_noted(lines(tree, name, problems), newest), delimiter=delimiter, strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            where, start = Where(name, start), reader.line_num + 1
            if not any(cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                if not _header_holds(header, newest[0], delimiter, needed, where, problems):
                    return
            elif len(cells) != len(header):
                text = f"{count(len(cells), 'cell')} where the header has {len(header)}"
                problems.add("input.row", text, where, 'put a cell that holds the delimiter into "quotes"')
            else:
                yield Row(where, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        where = Where(name, start)
        if header or not _separated_otherwise(newest[0], delimiter, needed, where, problems):
            fix = 'check the "quotes" here: each must be closed, or doubled'
            problems.add("input.csv", f"cannot be read as csv from this line on: {error}", where, fix)
    finally:
        csv.field_size_limit(before)


def _noted(texts: Iterable[str], newest: list[str]) -> Iterator[str]:
    """The same lines, the newest of them kept for a message."""
    for newest[0] in texts:
        yield newest[0]


def _header_holds(
    header: list[str], text: str, delimiter: str, needed: Sequence[Names], where: Where, problems: Problems
) -> bool:
    """Does a header have the columns that are needed? What is amiss is noted."""
    twice = sorted({cell for cell in header if cell and header.count(cell) > 1})
    for cell in twice:
        problems.add("input.header", f"two columns are called {cell!r}", where, "rename one of them")
    lacking = _lacking(needed, header)
    if lacking and _separated_otherwise(text, delimiter, needed, where, problems):
        return False
    for names in lacking:
        lacks_field(names, header, where, problems, "column")
    return not twice and not lacking


def _lacking(needed: Sequence[Names], header: Collection[str]) -> list[Names]:
    return [names for names in needed if not any(name in header for name in names)]


def _separated_otherwise(
    text: str, delimiter: str, needed: Sequence[Names], where: Where, problems: Problems
) -> bool:
    """Note a header that another sign separates: by it the columns are there, or it stands where ours does not."""
    others = [sign for sign in DELIMITERS if sign != delimiter and sign in text]
    right = [sign for sign in others if not _lacking(needed, [cell.strip(' "\r\n') for cell in text.split(sign)])]
    found = next(iter(right), "") or max(others if delimiter not in text else (), key=text.count, default="")
    if not found:
        return False
    said = f"the columns are separated by {DELIMITERS[found]}, expected {DELIMITERS[delimiter]}"
    named = {",": "rename the file to end in .csv", "\t": "rename the file to end in .tsv"}
    problems.add("input.delimiter", said, where, named.get(found, f"save the file with {DELIMITERS[delimiter]}"))
    return True


def lacks_field(names: Names, there: Iterable[str], where: Where, problems: Problems, word: str = "field") -> None:
    """Note a field that is not there, with those that are."""
    known = [name for name in there if name]
    wanted = " or ".join(map(repr, names))
    fix = f"{nearest(names[0], known)}another name can be given under `fields` in the spec"
    problems.add("input.field", f"no {word} {wanted}; there are: {some(known) or 'none'}", where, fix)


def pick(row: Row, names: Names) -> Any:
    """The first of the named fields that a row has; None where it has none."""
    for name in names:
        value = row.values.get(name)
        if value is not None:
            return value
    return None


def string(row: Row, names: Names, problems: Problems, *, needed: bool) -> str | None:
    """A text field of a row; None where it is absent, which is a problem when it is needed, or no text."""
    value = pick(row, names)
    if value is None:
        if needed:
            lacks_field(names, row.values, row.where, problems)
        return None
    if isinstance(value, str):
        return value
    name = next(name for name in names if row.values.get(name) is not None)
    problems.add("input.type", f"{name!r} must be a text, found {kind(value)}", row.where)
    return None


def identifier(value: Any, where: Where, problems: Problems, word: str = "id") -> str | None:
    """An id as text; a whole number is one too."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        problems.add("input.id", f"the {word} must be a text or a whole number, found {kind(value)}", where)
        return None
    name = str(value).strip()
    if not name:
        problems.add("input.id", f"the {word} is empty", where)
        return None
    # Ids stand in lines and tab-separated tables: such a character would break them apart.
    if any(unicodedata.category(sign) in ("Cc", "Zl", "Zp", "Cs") for sign in name):
        problems.add("input.id", f"the {word} {name!r} holds a tab, a line break or another control character", where)
        return None
    return name


# The order of keys as given, no spaces, letters as they are.
canonical = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def line(values: Mapping[str, Any]) -> bytes:
    """One line of canonical JSON."""
    return canonical(values).encode() + b"\n"


def encoded(values: Mapping[str, Any], where: Where, problems: Problems) -> bytes | None:
    """Values as a line; half a surrogate pair, which JSON can spell and UTF-8 cannot, is a problem."""
    try:
        return line(values)
    except UnicodeEncodeError as error:
        text = f"half of a surrogate pair (\\u{ord(error.object[error.start]):04x}) is no character"
        problems.add("input.encoding", text, where, "write the whole character, or take it out")
        return None


def kind(value: Any) -> str:
    """What a JSON value is, in plain words."""
    words: dict[type, str] = {bool: "true or false", int: "a number", float: "a number", str: "a text",
                              list: "a list", dict: "an object", type(None): "null"}
    return words.get(type(value), type(value).__name__)


def count(number: int, word: str) -> str:
    """A number with its word, in the plural where it is one."""
    return f"{number} {word}" + ("" if number == 1 else "s")


