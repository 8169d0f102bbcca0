"""Which live files the command of a spec brings along."""
from __future__ import annotations

import pytest

from embspec.plan.protocol import Command
from embspec.stages.live import CONTEXT, context_command, corpus_files, corpus_pins, parsers, program_files

PATH = {"corpus.path": ["docs/*.md"]}


@pytest.mark.parametrize(("text", "folder", "words"), [
    ("python say.py", "", ("python", "say.py")),
    ("../common//python say.py", "../common", ("python", "say.py")),
    ("say 'two words' --x=\"y z\"", "", ("say", "two words", "--x=y z")),
    ("say --url https://a.example/x", "", ("say", "--url", "https://a.example/x")),
    ("../common//say --url https://a.example/x", "../common", ("say", "--url", "https://a.example/x")),
    ("my specs//say it", "my specs", ("say", "it")),
])
def test_a_command_and_its_folder(text: str, folder: str, words: tuple[str, ...]) -> None:
    """Words are told apart as a shell does; the folder is what an anchor says, which an address is not."""
    assert context_command({CONTEXT: text}) == Command(CONTEXT, folder, words)


def test_every_word_may_be_a_file() -> None:
    """Words and what options are given, by their names alone; programs and files of the machine, options and addresses
    are none of the project's."""
    words = ("python", "-u", "say.py", "--prompt=p[1].txt", "--fast", "/etc/hosts", "https://a.example/x", "say.py")
    assert program_files(Command("f", "", words)) == (
        "program:python", "program:say.py", "program:p[[]1].txt")
    assert program_files(Command("f", "../c", ("say.py",))) == ("program:../c//say.py",)


def test_a_corpus_without_a_command_is_as_it_was() -> None:
    """Neither files nor pins are added; with one both are, and no parser is asked for by what it names."""
    assert (corpus_files(PATH), corpus_pins(PATH)) == (("docs/*.md",), ())
    asked = {**PATH, CONTEXT: "python say.py page.html"}
    assert corpus_files(asked) == ("docs/*.md", "program:python", "program:say.py", "program:page.html")
    assert corpus_pins(asked) == ("contexts",) and parsers(asked) == parsers(PATH)
