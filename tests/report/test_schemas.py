"""The schemas of what embspec writes."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from embspec.report.schemas import LOCK, OUTPUT, REPORT
from tests.support.bare import BARE


@pytest.mark.parametrize("schema", [LOCK, REPORT, OUTPUT], ids=["lock", "report", "output"])
def test_each_is_a_schema(schema: dict[str, Any]) -> None:
    """They are valid against the dialect they name."""
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("change", [{"minutes": 3}, {"verdict": {"verdict": "grey", "gates": []}}, {"documents": -1}])
def test_a_report_with_anything_else_is_refused(change: dict[str, Any]) -> None:
    """A key or a word that is not in the schema is no report, so a new one cannot slip in unsaid."""
    good = {**BARE, "name": "kelp", "documents": 2}
    jsonschema.validate(good, REPORT)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, **change}, REPORT)
