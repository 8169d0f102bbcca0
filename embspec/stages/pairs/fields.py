"""What the fields of a row of pairs are called, and what may stand in them."""
from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from embspec.errors import Where
from embspec.plan.protocol import Params
from embspec.stages.reading import Names, Problems, Row, kind, nearest, nfc, parse, pick, some

MOST = 30  # the highest grade: gains double with each, so a percentage here would drown every other document
KNOWN = 200

# Our own names of the fields; `pairs.NAME.fields` gives others.
ROLES: dict[str, Names] = {
    "id": ("id",),
    "query": ("query",),
    "positive": ("positive",),
    "positives": ("positives",),
    "quote": ("quote",),
    "span": ("span",),
    "grade": ("grade",),
    "filter": ("filter",),
    "role": ("role",),
    "group": ("group",),
    "session": ("session",),
    "weight": ("weight",),
    "time": (),  # `split.time_column` names it
}
# What other formats call the same things.
OTHERS: dict[str, dict[str, Names]] = {
    "beir": {"id": ("_id", "id"), "query": ("text",)},
    "faq": {"query": ("question", "query", "q"), "quote": ("answer", "quote", "a")},
    "bge": {"quote": ("pos",)},
    "cohere": {"quote": ("relevant_passages",)},
    "tevatron": {"id": ("query_id", "id"), "positives": ("positive_passages",)},
}


class Fields:
    """The names of the fields of one source; remembers which were met, so that a misspelt one is found."""

    def __init__(self, params: Params, form: str, problems: Problems) -> None:
        self.source = str(params["name"])
        self.qrels = params.get("pairs.qrels")
        start = "pairs.fields."
        written = {key[len(start) :]: params[key] for key in sorted(params) if key.startswith(start) and params[key]}
        self.written: dict[str, Names] = {role: (name,) for role, name in written.items()}
        self.unmet: dict[str, str] = {name: role for role, name in written.items() if role in ROLES}
        if column := params.get("split.time_column"):
            self.written["time"] = (str(column),)
        self.deep = [name for names in self.written.values() for name in names if "." in name]
        self.met: set[str] = set()
        for role in written:
            if role not in ROLES:
                fix = f"{nearest(role, ROLES)}known are: {some(ROLES.keys() - {'time'})}"
                problems.add("input.field", f"pairs have no field {role!r}", None, fix, self.spec(f"fields.{role}"))
        self.take(form)

    def take(self, form: str) -> None:
        """Use the names that a format has; those that the spec gives outrank them."""
        names = {**ROLES, **OTHERS.get(form, {}), **self.written}
        self.names = names
        self.id, self.query, self.grade = names["id"], names["query"], names["grade"]
        self.positive, self.positives = names["positive"], names["positives"]
        self.quote, self.span = names["quote"], names["span"]

    def dug(self, row: Row) -> Row:
        """A row with what lies deeper in it: `ticket.subject`, `messages.0.text`; a name that is there is that name."""
        found = {name: value for name in self.deep if name not in row.values
                 and (value := _deeper(row.values, name)) is not None}
        return row._replace(values={**row.values, **found}) if found else row

    def spec(self, field: str) -> str:
        """The full path of one of this source's fields in the spec."""
        return f"pairs.{self.source}.{field}"

    def meet(self, values: Mapping[str, Any]) -> None:
        """Note the names that a row has."""
        for name in [name for name in self.unmet if name in values]:
            del self.unmet[name]
        if len(self.met) < KNOWN:
            self.met.update(values)

    def check(self, problems: Problems) -> None:
        """A field that the spec names and no row has is a mistake in one of the two."""
        for name, role in sorted(self.unmet.items()):
            fix = f"{nearest(name, self.met)}fields there are: {some(self.met) or 'none'}"
            problems.add("input.field", f"no row has the field {name!r}", None, fix, self.spec(f"fields.{role}"))


def _deeper(values: Any, path: str) -> Any:
    """What lies at a path of names and numbers; None where it ends early."""
    for part in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(part)
        elif isinstance(values, list) and part.isdecimal() and len(part) < 9 and int(part) < len(values):
            values = values[int(part)]
        else:
            return None
    return values


def grade(value: Any, where: Where, problems: Problems) -> int | None:
    """A grade, 1 where none is given; what is under 0 (some tables mark junk so) is not relevant either."""
    if value is None or value == "":
        return 1
    number = _whole(value)
    if number is None or number > MOST:
        text = f"a grade is a whole number up to {MOST}, found {json.dumps(value, default=str)}"
        problems.add("input.grade", text, where, "1 is relevant, more is better, 0 is not relevant")
        return None
    return max(number, 0)


def _whole(value: Any) -> int | None:
    """A whole number, also spelt as text or with a point; None where it is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _filter(value: Any) -> dict[str, Any]:
    """A filter on metadata; in a cell of a table it is spelt as JSON."""
    if isinstance(value, str):
        value = parse(value)
    if not isinstance(value, dict):
        raise ValueError(kind(value))
    flat = [one for inner in value.values() for one in (inner if isinstance(inner, list) else [inner])]
    if not all(isinstance(one, (str, int)) or (isinstance(one, float) and math.isfinite(one)) for one in flat):
        raise ValueError("an object with other values")
    return {key: value[key] for key in sorted(value)}


def _word(value: Any) -> str:
    """A name of something: text, or a whole number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError(kind(value))
    return nfc(str(value).strip())


def _weight(value: Any) -> float:
    """A weight over 0."""
    if isinstance(value, (bool, list, dict)):
        raise ValueError(kind(value))
    number = float(value)
    if not (math.isfinite(number) and number > 0):
        raise ValueError(str(value))
    return number


def _time(value: Any) -> str:
    """A time as it is written: the split reads it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(kind(value))
    return str(value).strip()


# Role, what it must be in words, and the function that takes it.
EXTRAS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "filter": ("an object of metadata names and values (in csv: as JSON)", _filter),
    "role": ("a text", _word),
    "group": ("a text", _word),
    "session": ("a text", _word),
    "weight": ("a number over 0", _weight),
    "time": ("a text or a number", _time),
}


def extras(row: Row, fields: Fields, problems: Problems) -> dict[str, Any] | None:
    """What a row says beside query and positives; None where something is amiss, which is noted."""
    found: dict[str, Any] = {}
    good = True
    for role, (expected, take) in EXTRAS.items():
        names = fields.names[role]
        value = pick(row, names)
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            found[role] = take(value)
        except (ValueError, OverflowError, RecursionError):
            given = json.dumps(value, ensure_ascii=True)
            text = f"{names[0]!r} must be {expected}, found {given if len(given) < 60 else kind(value)}"
            problems.add("input.type", text, row.where)
            good = False
    return found if good else None
