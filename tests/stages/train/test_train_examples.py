"""From examples to rows: one for each positive, with what keeps them apart."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from embspec.errors import EmbspecError
from embspec.stages.train.examples import Examples, read


def example(id: str, query: str, positives: list[str], negatives: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """A row as `negatives` writes it; the text of a document is its id."""
    return {"id": id, "query": query, "positives": [{"id": one, "text": f"text {one}"} for one in positives],
            "negatives": [{"id": one, "text": f"text {one}"} for one in negatives], **more}


def opened(folder: Path, *examples: dict[str, Any]) -> Examples:
    """Write and read them."""
    path = folder / "examples.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in examples), encoding="utf-8")
    return read(path)


def share(one: Examples, first: int, second: int) -> bool:
    """Whether two rows may not stand in one batch."""
    return bool(one.rows[first].keys & one.rows[second].keys)


def test_a_row_for_each_positive(tmp_path: Path) -> None:
    """A query with two positives is two rows with the same negatives; every document is kept once."""
    found = opened(tmp_path, example("q", "which", ["a", "b"], ["c"]), example("r", "what", ["c"], ["a"]))
    assert [(row.id, found.documents[row.positive]) for row in found.rows] == [
        ("q\0a", "text a"), ("q\0b", "text b"), ("r\0c", "text c")]
    assert (found.asked, len(found.documents)) == (2, 3)
    assert found.rows[0].negatives == found.rows[1].negatives == (found.rows[2].positive,)
    assert share(found, 0, 1) and not share(found, 0, 2)


def test_scores_of_a_cross_encoder_change_no_row(tmp_path: Path) -> None:
    """A spec with a cross-encoder writes the score of each document: the same rows are trained on."""
    plain = example("q", "which", ["a", "b"], ["c"])
    scored = {**plain, **{side: [{**one, "score": 0.25} for one in plain[side]] for side in ("positives", "negatives")}}
    assert opened(tmp_path, scored) == opened(tmp_path, plain)


def test_rows_of_one_kind_are_kept_apart(tmp_path: Path) -> None:
    """The same question, answer or group keep two rows apart; nothing else does, so that one manual can be trained."""
    found = opened(
        tmp_path,
        example("1", "how long is it", ["a"], cluster="A"),
        example("2", "How long  is it", ["b"], cluster="B"),
        example("3", "where is it", ["a"], cluster="C"),
        example("4", "who is it", ["d"], cluster="A"),
        example("5", "when is it", ["e"], cluster="E", group="g"),
        example("6", "why is it", ["f"], cluster="F", group="g"),
        example("7", "is it", ["g"], cluster="G"),
    )
    apart = {(one, other) for one in range(7) for other in range(one + 1, 7) if share(found, one, other)}
    assert apart == {(0, 1), (0, 2), (1, 2), (4, 5)}


def test_what_answers_one_spelling_answers_the_other(tmp_path: Path) -> None:
    """Two rows with one question know each other's answers, and so keep a third with such an answer away."""
    found = opened(tmp_path, example("1", "how long", ["a"]), example("2", "HOW LONG", ["b"]),
                   example("3", "what", ["b"]))
    assert found.rows[0].answers == found.rows[1].answers and len(found.rows[0].answers) == 2
    assert share(found, 0, 2)


def test_near_duplicates_are_one_class(tmp_path: Path) -> None:
    """Documents that are alike to nine tenths count as one, also across ids."""
    long = " ".join(f"word{n}" for n in range(60))
    texts = {"a": long, "b": long + " more", "c": " ".join(f"other{n}" for n in range(60))}
    one = example("1", "how", ["a"], ["c"])
    other = example("2", "what", ["b"])
    for each in (one, other):
        for document in (*each["positives"], *each["negatives"]):
            document["text"] = texts[document["id"]]
    found = opened(tmp_path, one, other)
    assert len(set(found.classes)) == 2
    assert share(found, 0, 1)


def test_nothing_to_train_on_is_an_error(tmp_path: Path) -> None:
    """No example, or none with a positive, is an error of the input that says what to add."""
    for rows in ([], [example("q", "which", [], ["a"])]):
        with pytest.raises(EmbspecError) as error:
            opened(tmp_path, *rows)
        assert [problem.code for problem in error.value.problems] == ["input.no-examples"]
        assert error.value.exit == 3
        assert "add pairs" in error.value.problems[0].fix
