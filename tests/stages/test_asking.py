"""Questions to a program: asked once each, answers kept through failures, and never taken for those of others."""
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embspec.errors import EmbspecError, fail
from embspec.plan.protocol import Command
from embspec.stages.asking import Asking, Pin, known_by
from embspec.stages.reading import LIMIT, line
from tests.support.desk import Answering, Desk
from tests.support.trees import MemoryTree

NO_PIN = Pin("stage.answers", None, None)


def question(id: str, text: str = "") -> bytes:
    """One line of a question."""
    return line({"id": id, "text": text or id})


def take(question: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """An answer is the text of its question, in capitals; where the question is trusting, whatever it is."""
    if question["text"] == "trust":
        return str(answer["loud"])
    if answer.get("loud") != str(question["text"]).upper():
        raise ValueError("that is not it")
    return str(answer["loud"])


def right(questions: list[Any]) -> Iterator[str]:
    """A program that answers everything."""
    return (json.dumps({"id": one["id"], "loud": one["text"].upper()}) for one in questions)


def first(many: int) -> Answering:
    """A program that falls over after so many answers."""

    def answering(questions: list[Any]) -> Iterator[str]:
        yield from list(right(questions))[:many]
        raise fail("stage.program", "it fell over")

    return answering


class Run:
    """Runs over one folder, as builds of one spec are."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0

    def __call__(self, program: Answering | None, questions: Sequence[bytes], by: bytes = b"p", pin: Pin = NO_PIN
                 ) -> tuple[bytes, list[str]]:
        """What the lock would pin, and the ids that were asked."""
        self.number += 1
        desk = Desk(self.folder / str(self.number), kept=self.folder / "kept", program=program)
        with ExitStack() as files:
            asking = Asking(desk, lambda anew: by, take, pin, files)
            asking.ask(questions)
            asking.write(desk.scratch / "answers", [asking.asked(one) for one in questions])
        assert asking.calls == sum(map(len, desk.asked))
        return (desk.scratch / "answers").read_bytes(), [one["id"] for some in desk.asked for one in some]

    def failing(self, program: Answering, questions: Sequence[bytes], **more: Any) -> Sequence[Any]:
        """The problems of a run that has to fail."""
        with pytest.raises(EmbspecError) as caught:
            self(program, questions, **more)
        return caught.value.problems


def test_asked_once(tmp_path: Path) -> None:
    """What was answered is not asked again; another text is another question, and so is the same to another program."""
    run = Run(tmp_path)
    pinned, asked = run(right, [question("a"), question("b")])
    assert asked == ["a", "b"]
    assert [json.loads(one)["answer"] for one in pinned.splitlines()] == ["A", "B"]
    assert run(None, [question("a"), question("b")]) == (pinned, [])
    assert run(right, [question("a"), question("b", "c")])[1] == ["b"]
    assert run(right, [question("a"), question("b")], by=b"q")[1] == ["a", "b"]


def test_the_pin_is_enough(tmp_path: Path) -> None:
    """With the pinned file nothing is asked, whatever else is gone; a new question is asked alone."""
    pinned, _ = Run(tmp_path / "one")(right, [question("a"), question("b")])
    (tmp_path / "pinned").write_bytes(pinned)
    pin = Pin("s.a", "sha256:x 1", tmp_path / "pinned")
    assert Run(tmp_path / "two")(None, [question("a"), question("b")], pin=pin) == (pinned, [])
    assert Run(tmp_path / "two")(right, [question("a"), question("c")], pin=pin)[1] == ["c"]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 12)), max_size=5), st.permutations(range(10)))
def test_through_failures(
    tmp_path_factory: pytest.TempPathFactory, tries: list[tuple[int, int]], order: list[int]
) -> None:
    """However often a program falls over, and whatever texts change meanwhile: none is asked again that was answered
    as it is now, and the file is that of a run from nothing."""
    run, texts = Run(tmp_path_factory.mktemp("runs")), {f"d{n}": f"d{n}" for n in range(10)}
    known: set[tuple[str, str]] = set()
    for number, (changed, many) in enumerate(tries):
        texts[f"d{changed}"] = f"text {number}"
        questions = [question(*pair) for pair in texts.items()]
        open_ = [pair for pair in texts.items() if pair not in known]
        if not open_:
            break
        run.failing(first(many), questions)
        known |= set(open_[:many])
    questions = [question(id, texts[id]) for id in (f"d{n}" for n in order)]
    found, asked = run(lambda some: reversed(list(right(some))), questions)
    assert asked == [f"d{n}" for n in order if (f"d{n}", texts[f"d{n}"]) not in known]
    assert (found, len(questions)) == (Run(tmp_path_factory.mktemp("new"))(right, questions)[0], 10)


def test_half_a_line_of_what_was_told(tmp_path: Path) -> None:
    """A kill amid writing down an answer costs that answer and no other, then and later."""
    run, questions = Run(tmp_path), [question(id) for id in "abcd"]
    run.failing(first(2), questions)
    run.failing(first(0), questions)
    (told,) = (tmp_path / "kept").rglob("told.jsonl")
    told.write_bytes(told.read_bytes()[:-9])
    run.failing(first(1), questions)
    pinned, asked = run(right, questions)
    assert asked == ["c", "d"] and pinned == Run(tmp_path / "new")(right, questions)[0]


LEFT = (b"{}\n", b"[]\n3\n", b'{"id": 3, "asked": 3, "answer": 3}\n', b'{"asked": "00"}\n', b'{"id"', b"\0" * 4096,
        b"\xff\n", b"[" * 100_000)


@pytest.mark.parametrize("name", ("told", "asked", "said"))
@pytest.mark.parametrize("left", LEFT, ids=range(len(LEFT)))
def test_what_somebody_damaged(tmp_path: Path, name: str, left: bytes) -> None:
    """Files of a run that did not end may hold anything: what is no answer of theirs is asked again."""
    run, questions = Run(tmp_path), [question(id) for id in "abc"]
    run.failing(first(1), questions)
    run.failing(first(1), questions)  # one is written down, one was said
    (path,) = (tmp_path / "kept").rglob(f"{name}.jsonl")
    path.write_bytes(left + path.read_bytes() if left.endswith(b"\n") else left)
    pinned, asked = run(right, questions)
    assert pinned == Run(tmp_path / "new")(right, questions)[0]
    assert asked == (["c"] if left.endswith(b"\n") else {"told": ["a", "c"]}.get(name, ["b", "c"]))


def test_an_old_answer_is_nobody_elses(tmp_path: Path) -> None:
    """What was said to the last questions is not taken for an answer to those of now, though the ids are the same."""
    run = Run(tmp_path)
    run.failing(first(1), [question("a", "old"), question("b")])
    refused = Desk(tmp_path / "x", kept=tmp_path / "kept", program=lambda some: _refuse())
    with pytest.raises(EmbspecError), ExitStack() as files:
        Asking(refused, lambda anew: b"p", take, NO_PIN, files).ask([question("a", "trust"), question("b")])
    killed = Desk(tmp_path / "y", kept=tmp_path / "kept", program=right)
    run.failing(first(1), [question("a", "older"), question("b")])
    killed.ask = _refuse  # type: ignore[assignment,method-assign]
    with pytest.raises(EmbspecError), ExitStack() as files:  # before the program says a word
        Asking(killed, lambda anew: b"p", take, NO_PIN, files).ask([question("a", "trust"), question("b")])
    pinned, asked = run(right, [question("a", "trust"), question("b")])
    assert asked == ["a", "b"] and json.loads(pinned.splitlines()[0])["answer"] == "TRUST"


def _refuse(*ignored: object) -> Iterable[str]:
    raise fail("usage.allow-code" if not ignored else "stage.program", "not now")


WRONG = {
    "no JSON": ("Loading the model", "not JSON: 'Loading the model'"),
    "NaN": ("NaN", "not JSON"),
    "no UTF-8": (b"\xff", "not JSON"),
    "too deep": ("[" * 100_000, "not JSON"),
    "no object": ("[1]", "expected an object, found a list"),
    "no id": ('{"loud": "A"}', "no field 'id'"),
    "a number for an id": ('{"id": 3, "loud": "A"}', "3 is no id of a document that was asked about"),
    "an endless id": (json.dumps({"id": "x" * 10_000}), "'" + "x" * 79 + " is no id of a document"),
    "nobody's id": ('{"id": "z", "loud": "Z"}', "'z' is no id of a document that was asked about"),
    "a second answer": ('{"id": "b", "loud": "B"}', "'b' was answered before"),
    "a wrong answer": ('{"id": "a", "loud": "B"}', "'a': that is not it"),
    "an endless line": (f'{{"id": "a", "loud": "{"A" * LIMIT}"}}', "longer than 64 MB"),
}


@pytest.mark.parametrize("kind", sorted(WRONG))
def test_what_is_no_answer(tmp_path: Path, kind: str) -> None:
    """Every wrong line is told with its place, and who has no answer; what was right is kept."""
    text, said = WRONG[kind]

    def program(questions: list[Any]) -> Iterator[str | bytes]:
        yield from list(right(questions))[1:]
        yield text

    run = Run(tmp_path)
    wrong, lacking = run.failing(program, [question("a"), question("b")])
    assert (wrong.code, wrong.where.line, said in wrong.text) == ("stage.answers", 2, True)
    assert (lacking.code, lacking.text) == ("stage.answers", "no answer for 1 document: a")
    assert run(right, [question("a"), question("b")])[1] == ["a"]


def test_half_a_letter(tmp_path: Path) -> None:
    """Half of a surrogate pair, which JSON can spell, is no answer."""

    desk = Desk(tmp_path / "x", kept=tmp_path / "kept", program=lambda some: ['{"id": "a", "loud": "\\ud800"}'])
    with pytest.raises(EmbspecError) as caught, ExitStack() as files:
        Asking(desk, lambda anew: b"p", lambda question, answer: answer["loud"], NO_PIN, files).ask([question("a")])
    assert caught.value.problems[0].code == "input.encoding"


def test_lost_answers(tmp_path: Path) -> None:
    """What the lock pins and nobody has may be asked for again, and has to be the same; unasked nothing runs."""
    questions = [question("a"), question("b")]
    pinned, _ = Run(tmp_path / "one")(right, questions)
    same = Pin("stage.answers", f"sha256:{hashlib.sha256(pinned).hexdigest()} {len(pinned)}", None)
    assert Run(tmp_path / "two")(right, questions, pin=same) == (pinned, ["a", "b"])
    (other,) = Run(tmp_path / "three").failing(right, questions[:1], pin=same)
    assert other.code == "nowhere.answers" and "something else" in other.text and "stage.answers" in other.fix
    (unasked,) = Run(tmp_path / "four").failing(lambda some: _refuse(), questions, pin=same)
    assert unasked.code == "nowhere.answers" and same.text and same.text in unasked.text


def test_whose_answers_they_are() -> None:
    """They hang on the command and on the bytes of the files that it names, and on no document."""
    tree = MemoryTree({"a.md": "x", "program:ctx.py": "one"})
    command = Command("field", "", ("python", "ctx.py"))
    known = known_by(command, tree)
    assert known == known_by(command, MemoryTree({**tree.files, "a.md": "y", "b.md": "z"}))
    assert tree.opened == ["program:ctx.py"]
    others = [(command, MemoryTree({"program:ctx.py": "two"})), (command._replace(words=("python", "x.py")), tree)]
    assert len({known, *(known_by(*other) for other in others)}) == 3


def test_a_program_that_changed_meanwhile(tmp_path: Path) -> None:
    """Between the look at its files and the first question: nothing is asked, for nobody could say whose answers
    they are."""
    tree = MemoryTree({"program:ctx.py": "one"})
    tree.known = True
    command = Command("field", "", ("python", "ctx.py"))
    desk = Desk(tmp_path / "x", kept=tmp_path / "kept", program=right)
    with pytest.raises(EmbspecError) as caught, ExitStack() as files:
        asking = Asking(desk, partial(known_by, command, tree), take, NO_PIN, files)
        tree.files["program:ctx.py"] = b"two"
        asking.ask([question("a")])
    assert [problem.code for problem in caught.value.problems] == ["input.changed"] and desk.asked == []
