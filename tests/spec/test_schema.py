"""The JSON Schema and the list of all fields say what the sections say."""
from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from embspec.spec.fields import REQUIRED, Field, fits
from embspec.spec.load import load
from embspec.spec.schema import fields, schema, text
from embspec.spec.sections import NAMED

HERE = Path(__file__).parent
FILE = HERE.parents[1] / "schemas" / "spec.schema.json"
WHOLE = ("full.yaml", "variants.yaml", "static.yaml")


def plain(name: str) -> object:
    """A spec as an editor reads it."""
    return YAML(typ="safe", pure=True).load((HERE / name).read_text())


def valid(spec: object) -> bool:
    """Does the JSON Schema take it?"""
    return bool(jsonschema.Draft202012Validator(schema()).is_valid(spec))


def test_the_schema_in_the_repository_is_this_one() -> None:
    """Editors read the file; `embspec schema spec` writes it again."""
    assert FILE.read_text() == text()
    jsonschema.Draft202012Validator.check_schema(json.loads(text()))


@pytest.mark.parametrize("name", WHOLE)
def test_what_loads_is_valid(name: str) -> None:
    """An editor underlines nothing that embspec takes."""
    assert valid(plain(name))


@pytest.mark.parametrize(
    "spec",
    [
        {"embspec": 1},
        {"embspec": 2, "corpus": {"path": "a"}},
        {"embspec": 1, "corpus": {}},
        {"embspec": 1, "corpus": {"path": "a"}, "model": {"method": "full"}},
        {"embspec": 1, "corpus": {"path": "a"}, "nme": "x"},
        {"embspec": 1, "corpus": {"path": "a", "chunking": {"strategy": "sentences", "tokens": 5}}},
        {"embspec": 1, "corpus": {"path": "a"}, "seed": -1},
        {"embspec": 1, "corpus": {"path": "a"}, "pairs": [{"path": "x"}]},
        {"embspec": 1, "corpus": {"path": "a"}, "gates": [{"metrc": "mrr"}]},
    ],
)
def test_what_is_refused_is_invalid(spec: object) -> None:
    """An editor underlines unknown keys, missing ones and values out of bounds."""
    assert not valid(spec)


def test_a_spec_that_extends_may_leave_out_what_the_other_has() -> None:
    """What is required of a whole spec is not required of a part."""
    assert valid({"extends": "a.yaml", "model": {"max_seq_length": 64}, "pairs": [{"name": "gold", "weight": 2}]})


def test_every_value_is_a_field() -> None:
    """The list of fields, from which docs and tables are made, has every path a spec can have, and no other."""
    seen: set[str] = set()
    for name in WHOLE:
        for path in load(str(HERE / name), root=str(HERE)).values:
            if path not in ("gates", *NAMED):  # empty: a list without items
                found = [field.path for field in fields() if _matches(field, path)]
                assert len(found) == 1, path
                seen.update(found)
    sections = {"model", "model.base.vectors.endpoint", "labels.teacher", "corpus.chunking.context"}
    assert {field.path for field in fields()} - seen == {"extends", "unset", *sections}


def _matches(field: Field, path: str) -> bool:
    if field.path == "gates.{line}" or path.startswith("gates."):
        return field.path == "gates.{line}" and path.startswith("gates.")
    want, have = field.path.split("."), path.split(".")
    return len(want) == len(have) and all(w.startswith("{") or w == h for w, h in zip(want, have, strict=True))


def test_every_field_is_described() -> None:
    """Each has one line for the docs, what it holds in words, and a default that JSON can say."""
    for field in fields():
        assert field.text and "\n" not in field.text, field.path
        assert field.kind, field.path
        json.dumps(field.default)
    by_path = {field.path: field for field in fields()}
    assert by_path["corpus.path"].default == REQUIRED
    assert by_path["corpus.chunking.strategy"].choices == ("none", "structure", "sentences")
    assert by_path["train.learning_rate"].kind == "`auto` or a number"
    assert len(by_path) == len(fields())


def test_a_path_is_known_whatever_its_names() -> None:
    """Names and numbers fit any; a field is no section."""
    assert fits("pairs.gold.path")
    assert fits("negatives.miners.7.kind")
    assert fits("loss.matryoshka")
    assert not fits("loss.matrioshka")
    assert not fits("seed.x")
