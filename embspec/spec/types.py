"""The kinds of values a field can have, and how a wrong one is said."""
from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from embspec.measure.gate import metric_problem, system_problem
from embspec.measure.metrics import full_name


class Section(BaseModel):
    """A mapping of the spec: keys it does not know are refused, values are not bent into shape."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, regex_engine="python-re")


class Says:
    """What a field expects, in words, where its type alone would not say it well."""

    def __init__(self, words: str) -> None:
        self.words = words


class Hidden:
    """Marks a field whose wrong value is never repeated in a message: it may be a secret."""


class PathText(str):
    """A path as written; `flat` anchors it at the folder of the file that names it."""

    __slots__ = ()


class CommandText(PathText):
    """A command as written; it is run in the folder of the file that names it."""

    __slots__ = ()


class Anchor:
    """Marks a field that may hold a path; `turn` makes `PathText` of a text that is one."""

    def __init__(self, turn: Callable[[str], str]) -> None:
        self.turn = turn


def wrong(code: str, text: str, fix: str = "", at: str = "", also: str = "") -> PydanticCustomError:
    """A problem found by a validator; `at` and `also` name fields of the section it concerns."""
    # The text goes in as a value: braces in it must not be read as a template.
    return PydanticCustomError(code, "{text}", {"text": text, "fix": fix, "at": at, "also": also})


def kind_of(value: Any) -> str:
    """The tag by which a field that takes several kinds chooses one; a bar keeps tags apart from keys."""
    if isinstance(value, dict):
        return "|mapping"
    if isinstance(value, list):
        return "|list"
    if isinstance(value, bool):
        return "|flag"
    if isinstance(value, (int, float)):
        return "|number"
    return "|text"


def only_key(value: Any) -> str:
    """The tag of a mapping that says its kind by its one key, as `{split: test}` does."""
    return "|" + next(iter(value), "") if isinstance(value, dict) and len(value) == 1 else kind_of(value)


def _whole(value: Any) -> Any:
    # 1e4 is as good a way to write 10000 as any, but YAML calls it a float.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _unique(value: list[Any]) -> list[Any]:
    for n, item in enumerate(value):
        if item in value[:n]:
            raise wrong("spec.duplicate", f"`{item}` is listed twice", "list it once", at=str(n))
    return value


def _rooted(value: str) -> str:
    return PathText(value) if value.startswith(("./", "../", "/", "~")) or value in (".", "..") else value


def _file(value: str) -> str:
    return value if value.startswith("package:") else PathText(value)


def _own_loss(value: str) -> str:
    return PathText(value) if re.search(r"\.py:\w+$", value) else value


def _env(value: str) -> str:
    if not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", value):
        raise wrong(
            "spec.secret",
            "a secret may not stand in a spec",
            "put it into an environment variable and write `env:NAME`",
        )
    return value


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError:
        raise wrong("spec.command", f"the quotes of `{value}` do not close", "close them, or escape the one") from None
    if "\0" in value:
        raise wrong("spec.command", "a command cannot have a zero byte", "take it out")
    if not words:
        raise wrong("spec.command", "a command of blanks runs nothing", "name a program and its arguments")
    if re.search(r"(?<!:)//", value):
        raise wrong("spec.command", f"`{value}` has a double slash", "write one slash, or put it into a script")
    return CommandText(value)


def _no_password(value: str) -> str:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/@\s]*:[^/@\s]*@", value):
        raise wrong(
            "spec.secret",
            "an address with a password may not stand in a spec",
            "put it into an environment variable and write `env:NAME`",
        )
    return value


def _folder(value: str) -> str:
    return value if value.startswith("env:") else PathText(value)


def _metric(value: str) -> str:
    problem = metric_problem(value)
    if problem:
        raise wrong("spec.metric", problem)
    return full_name(value)


def _system(value: str) -> str:
    problem = system_problem(value)
    if problem:
        raise wrong("spec.system", problem)
    if value == "shipped":
        raise wrong("spec.system", "`shipped` is always evaluated", "leave it out")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]+", value):
        raise wrong("spec.name", f"`{value}` cannot be a name", "use only a-z, 0-9, `_` and `-`")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", value):
        raise wrong("spec.choice", f"`{value}` is not a device", "write auto, cpu, mps, cuda or cuda:0")
    return value


Text = Annotated[str, Field(min_length=1), Says("text")]
Name = Annotated[str, AfterValidator(_name), Says("a name of a-z, 0-9, `_` and `-`")]
Path = Annotated[str, Field(min_length=1), AfterValidator(PathText), Anchor(PathText), Says("a path")]
Located = Annotated[str, Field(min_length=1), AfterValidator(_rooted), Anchor(_rooted), Says("text")]
"""A hub id, `package:…`, or a path where it begins with `./` or `../`."""
Packed = Annotated[
    str, Field(min_length=1), AfterValidator(_file), Anchor(_file), Says("a path or `package:NAME/FILE`")
]
LossName = Annotated[str, Field(min_length=1), AfterValidator(_own_loss), Anchor(_own_loss), Says("the name of a loss")]
Command = Annotated[str, Field(min_length=1), AfterValidator(_command), Anchor(CommandText), Says("a command")]
Env = Annotated[str, AfterValidator(_env), Says("`env:NAME`"), Hidden()]
Endpoint = Annotated[str, Field(min_length=1), AfterValidator(_no_password), Says("an address or `env:NAME`"), Hidden()]
Address = Annotated[Endpoint, AfterValidator(_folder), Anchor(_folder)]
"""An address, `env:NAME`, or a folder of the project."""
Metric = Annotated[str, AfterValidator(_metric), Says("a metric")]
System = Annotated[str, AfterValidator(_system), Says("a system")]
Device = Annotated[str, AfterValidator(_device), Says("auto, cpu, mps, cuda or cuda:0")]
Flag = Annotated[bool, Says("true or false")]

Int = Annotated[int, BeforeValidator(_whole), Says("a whole number")]
Natural = Annotated[int, BeforeValidator(_whole), Field(ge=0), Says("a whole number")]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1), Says("a whole number")]
Number = Annotated[float, Says("a number")]
Amount = Annotated[float, Field(ge=0), Says("a number")]
Positive = Annotated[float, Field(gt=0), Says("a number")]
Share = Annotated[float, Field(ge=0, le=1), Says("a number from 0 to 1")]
Likeness = Annotated[float, Field(gt=0, le=1), Says("a number over 0, up to 1")]

LISTED = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Texts = Annotated[list[Text], AfterValidator(_unique)]
Names = Annotated[list[Located], AfterValidator(_unique), Says("a list of text")]
Paths = Annotated[
    list[Path],
    BeforeValidator(_listed),
    Field(min_length=1),
    AfterValidator(_unique),
    WithJsonSchema(LISTED),
    Says("a path or a list of paths"),
]
Metrics = Annotated[list[Metric], Field(min_length=1), AfterValidator(_unique), Says("a list of metrics")]
Systems = Annotated[list[System], Field(min_length=1), AfterValidator(_unique), Says("a list of systems")]

AutoText = Annotated[Literal["auto"], Tag("|text")]
AutoCount = Annotated[
    AutoText | Annotated[Count, Tag("|number")], Discriminator(kind_of), Says("`auto` or a whole number")
]
AutoPositive = Annotated[
    AutoText | Annotated[Positive, Tag("|number")], Discriminator(kind_of), Says("`auto` or a number")
]


def unique(value: list[Any]) -> list[Any]:
    """Refuses a list that has an item twice."""
    return _unique(value)
