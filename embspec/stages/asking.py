"""Questions to a program that the spec names: each is asked once, and what was answered is kept with the lock."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import xxhash

from embspec.errors import EmbspecError, Where, fail
from embspec.plan.protocol import PROGRAM, Command, Desk, Tree
from embspec.stages.reading import LIMIT, Problems, count, encoded, kind, parse, some

SHOWN = 80  # letters of what is no id that a message repeats

Take = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
"""From a question and its answer to what is kept of it; a ValueError says what is wrong."""


By = Callable[[bool], bytes]
"""What answers hang on beside the questions, as it is known, or read anew."""


class Pin(NamedTuple):
    """What the lock says of the answers: the pin's name, its text, and the file where it is at hand."""

    name: str  # STAGE.PIN, as a person asks for it anew
    text: str | None
    path: Path | None


def known_by(command: Command, tree: Tree, anew: bool = False) -> bytes:
    """What answers hang on beside the questions: the command, and the bytes of the files that it names."""
    names = sorted(name for name in tree.names() if name.startswith(PROGRAM))
    files = {name: (not anew and tree.digest(name)) or _hashed(tree, name) for name in names}
    return json.dumps([command.words, files]).encode()


def _hashed(tree: Tree, name: str) -> str:
    data = hashlib.sha256()
    with tree.open(name) as file:
        while block := file.read(1 << 20):
            data.update(block)
    return data.hexdigest()


class Asking:
    """What is known, and the way to know the rest: texts in files, places in memory.

    A question is a line of JSON with an `id`; so is an answer. What a run that did not end was told is taken up.
    """

    def __init__(self, desk: Desk, by: By, take: Take, pin: Pin, files: ExitStack) -> None:
        self._desk, self._take, self._pin, self._files = desk, take, pin, files
        self._again, self._by = by, by(False)
        self._at: dict[bytes, tuple[IO[bytes], int]] = {}
        self.calls = 0
        folder = (desk.kept or desk.scratch) / xxhash.xxh3_128_hexdigest(self._by)
        folder.mkdir(parents=True, exist_ok=True)
        self._told, self._questions, self._said = (folder / f"{name}.jsonl" for name in ("told", "asked", "said"))
        if pin.path is not None:
            self._read(pin.path)
        if self._told.exists():
            self._read(self._told)
        if self._said.exists() and self._questions.exists():
            self._hear(Problems())
        self._forget()

    def asked(self, question: bytes) -> bytes:
        """The name of a question."""
        return xxhash.xxh3_128_digest(self._by + b"\0" + question)

    def answer(self, asked: bytes) -> Any:
        """What is kept of an answer."""
        return json.loads(self._line(asked))["answer"]

    def ask(self, questions: Iterable[bytes]) -> None:
        """Have what is not known answered; all that is wrong with answers is told at once."""
        with open(self._questions, "wb") as file:
            for question in questions:
                if self.asked(question) not in self._at:
                    file.write(question)
                    self.calls += 1
        if not self.calls:
            return
        if self._again(True) != self._by:  # or answers would be kept as those of a program that did not give them
            raise fail("input.changed", "a file that the command names changed while documents were cut",
                       fix="run the command again")
        try:
            self._desk.ask(self._questions, self._said, self.calls)
        except EmbspecError as error:
            if error.problems[0].code == "usage.allow-code":
                self._forget()
                if self._lost:
                    raise self._nowhere("not in the store") from None
            raise
        problems = Problems()
        unanswered = self._hear(problems)
        if unanswered:
            text = f"no answer for {count(len(unanswered), 'document')}: {some(unanswered, 3)}"
            problems.add("stage.answers", text, self._where(), "write one line for each line, and end after the last")
        problems.stop()

    def write(self, path: Path, asked: Sequence[bytes]) -> None:
        """The answers to these questions, which is what the lock pins."""
        data = hashlib.sha256()
        with open(path, "wb") as file:
            for line in map(self._line, asked):
                file.write(line)
                data.update(line)
            found = f"sha256:{data.hexdigest()} {file.tell()}"
        if self._lost and found != self._pin.text:
            raise self._nowhere(f"not in the store, and what is answered now is something else ({found})")

    @property
    def _lost(self) -> bool:
        return self._pin.text is not None and self._pin.path is None

    def _nowhere(self, why: str) -> EmbspecError:
        return fail("nowhere.answers", f"the answers that the lock pins ({self._pin.text}) are {why}",
                    fix="set EMBSPEC_STORE to a store that has them; `embspec build --allow-code` asks for them again, "
                    f"and they have to be the same, unless `embspec lock --upgrade {self._pin.name}` lets others in")

    def _forget(self) -> None:
        """Let go of the last questions: what is said from now on must not be taken for their answers."""
        for path in (self._said, self._questions):
            path.unlink(missing_ok=True)

    def _where(self, line: int = 0) -> Where:
        return Where(os.path.relpath(self._said), line)

    def _line(self, asked: bytes) -> bytes:
        file, place = self._at[asked]
        file.seek(place)
        return file.readline()

    def _read(self, path: Path) -> None:
        """The answers of a file; what is known already stays."""
        file, place = self._files.enter_context(open(path, "rb")), 0  # read again when an answer is wanted
        for text in file:
            known = _object(text)
            if "answer" in known:
                with suppress(ValueError):
                    self._at.setdefault(bytes.fromhex(str(known.get("asked"))), (file, place))
            place += len(text)

    def _hear(self, problems: Problems) -> list[str]:
        """Keep what was said to the questions that were asked last; which of them have no answer."""
        with open(self._questions, "rb") as asked, open(self._told, "ab") as told:
            told.write(b"\n" if told.tell() else b"")  # behind half of a line that a kill has left
            places = dict(_places(asked))
            left = set(places)
            for where, values in self._answers(problems):
                id = values.get("id")
                if not isinstance(id, str) or id not in places:
                    wrong = f"{repr(id)[:SHOWN]} is no id of a document that was asked about"
                    text = wrong if "id" in values else "no field 'id'"
                    problems.add("stage.answers", text, where, "give each answer the id of its question")
                    continue
                if id not in left:
                    problems.add("stage.answers", f"{id!r} was answered before", where, "answer each question once")
                    continue
                asked.seek(places[id])
                question = asked.readline()
                if self._keep(question, values, where, problems, told):
                    left.remove(id)
        self._read(self._told)
        return sorted(left)

    def _keep(
        self, question: bytes, answer: Mapping[str, Any], where: Where, problems: Problems, told: IO[bytes]
    ) -> bool:
        try:
            found = self._take(json.loads(question), answer)
        except ValueError as error:
            problems.add("stage.answers", f"{answer['id']!r}: {error}", where)
            return False
        line = encoded({"id": answer["id"], "asked": self.asked(question).hex(), "answer": found}, where, problems)
        return line is not None and bool(told.write(line))

    def _answers(self, problems: Problems) -> Iterator[tuple[Where, Mapping[str, Any]]]:
        """The objects that were written to stdout; what is none is a problem."""
        with open(self._said, "rb") as file:
            for number, text in enumerate(iter(lambda: file.readline(LIMIT + 1), b""), 1):
                where = self._where(number)
                if len(text) > LIMIT:
                    problems.add("stage.answers", f"this line is longer than {LIMIT >> 20} MB", where)
                    return
                try:
                    value = parse(text.decode())
                except (ValueError, RecursionError):
                    problems.add("stage.answers", f"not JSON: {text[:40].decode('utf-8', 'replace').strip()!r}", where,
                                 "write answers to stdout, and all else to stderr")
                    continue
                if isinstance(value, dict):
                    yield where, value
                else:
                    problems.add("stage.answers", f"expected an object, found {kind(value)}", where)


def _places(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """The id of each question, and where its line begins."""
    place = 0
    for text in file:
        if isinstance(id := _object(text).get("id"), str):
            yield id, place
        place += len(text)


def _object(text: bytes) -> Mapping[str, Any]:
    """A line that was kept; empty where a kill, or somebody, has left something else of it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
