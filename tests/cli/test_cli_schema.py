"""The schemas: what the command prints, what lies in schemas/, and what embspec writes."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from embspec.cli.schema import SCHEMAS
from tests.support.command import embspec

FOLDER = Path(__file__).parents[2] / "schemas"


def _valid(name: str, value: Any) -> None:
    jsonschema.Draft202012Validator(json.loads(embspec("schema", name).out)).validate(value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_in_schemas_are_what_the_command_prints(name: str) -> None:
    """Byte for byte; `make schemas` writes them."""
    text = embspec("schema", name).out
    assert (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8") == text
    jsonschema.Draft202012Validator.check_schema(json.loads(text))


def test_there_is_no_other_file_in_schemas() -> None:
    """A schema that nothing prints would grow stale in silence."""
    assert {p.name for p in FOLDER.iterdir()} == {f"{name}.schema.json" for name in SCHEMAS}


def test_without_a_name_it_is_the_spec() -> None:
    """The one that editors want."""
    assert embspec("schema").out == embspec("schema", "spec").out


def test_what_embspec_writes_and_reads_holds_its_schemas(built: Path) -> None:
    """The lock, report.json, the spec, and the spec's own refusals."""
    yaml = YAML(typ="safe", pure=True)
    _valid("lock", yaml.load(Path("specs/harbour.lock").read_text(encoding="utf-8")))
    _valid("report", json.loads(Path("out/harbour/report/report.json").read_bytes()))
    spec = yaml.load(Path("specs/harbour.yaml").read_text(encoding="utf-8"))
    _valid("spec", spec)
    with pytest.raises(jsonschema.ValidationError):
        _valid("spec", {**spec, "splt": {}})
