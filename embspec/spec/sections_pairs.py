"""The sections about one source of query-document pairs: a file, a generator or a click log."""
from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from embspec.spec.sections_data import Roles
from embspec.spec.types import (
    Amount,
    Command,
    Count,
    Endpoint,
    Env,
    Likeness,
    Name,
    Natural,
    Number,
    Path,
    Positive,
    Says,
    Section,
    Share,
    Text,
    kind_of,
    wrong,
)

PAIR_FIELDS = (
    "query",
    "positive",
    "positives",
    "quote",
    "span",
    "grade",
    "id",
    "filter",
    "role",
    "group",
    "session",
    "weight",
)


def _known_fields(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if name not in PAIR_FIELDS:
            near = difflib.get_close_matches(name, PAIR_FIELDS, n=1)
            raise wrong(
                "spec.unknown-key",
                f"`{name}` is no field of a pair" + (f"; did you mean `{near[0]}`?" if near else ""),
                "fields are " + ", ".join(PAIR_FIELDS),
                at=name,
            )
    return value


class OpenAiProvider(Section):
    """A server that speaks OpenAI's interface."""

    kind: Literal["openai_compatible", "command", "replay"] = Field(description="where answers come from")
    base_url: Endpoint = Field(description="its address, or env:NAME")
    api_key: Env | None = Field(default=None, description="env:NAME of its key")
    model: Text = Field(description="the model's name there")


class CommandProvider(Section):
    """A command that answers prompts."""

    kind: Literal["command"] = Field(description="where answers come from")
    command: Command = Field(description="run for the prompts; needs --allow-code")


class ReplayProvider(Section):
    """Answers kept from an earlier run."""

    kind: Literal["replay"] = Field(description="where answers come from")
    path: Path = Field(description="file of the answers")


def _provider_kind(value: Any) -> str:
    if not isinstance(value, dict):
        return kind_of(value)
    kind = value.get("kind")
    return f"|{kind}" if kind in ("command", "replay") else "|openai_compatible"


Provider = Annotated[
    Annotated[OpenAiProvider, Tag("|openai_compatible")]
    | Annotated[CommandProvider, Tag("|command")]
    | Annotated[ReplayProvider, Tag("|replay")],
    Discriminator(_provider_kind),
    Says("a mapping with `kind`"),
]


class Budget(Section):
    """Where generation stops."""

    requests: Count | None = Field(default=30000, description="requests at most; null is no limit")
    usd: Positive | None = Field(default=20.0, description="dollars at most; null is no limit")


Types = Annotated[dict[Name, Count], Field(min_length=1), Says("a mapping from kinds of questions to their weights")]


class Generate(Section):
    """Questions that a language model writes for chunks."""

    provider: Provider = Field(description="where answers come from")
    prompt: Path | None = Field(default=None, description="file of the prompt; null is the built-in one")
    queries_per_chunk: Count = Field(default=3, description="questions asked for each chunk")
    chunks_sample: Count | None = Field(
        default=8000, description="chunks asked about, by hash of the chunk; null is all"
    )
    types: Types = Field(
        default={"factual": 2, "procedural": 1, "multi_hop": 1}, description="kinds of questions and their weights"
    )
    style_examples: Name | None = Field(
        default=None, description="the source whose questions show the style; never test queries"
    )
    budget: Budget = Field(default_factory=Budget, description="where generation stops")
    save: Path | None = Field(default=None, description="file of the answers, to be reviewed and committed")


class FilterDedup(Section):
    """Questions too like one another are dropped."""

    similarity: Likeness = Field(default=0.9, description="questions this alike count once")


class Roundtrip(Section):
    """Questions that do not find their own document are dropped."""

    retriever: Literal["base", "bm25", "hybrid"] = Field(default="base", description="what searches")
    top_k: Count = Field(default=10, description="ranks within which the document must be found")


class Judge(Section):
    """Questions that a language model scores low are dropped."""

    min_score: Number = Field(default=7.0, description="the lowest score kept")
    scale: Positive = Field(default=10.0, description="the highest score")

    @model_validator(mode="after")
    def _reachable(self) -> Judge:
        if not 0 <= self.min_score <= self.scale:
            raise wrong(
                "spec.conflict",
                f"a score from 0 to {self.scale:g} cannot be held against {self.min_score:g}",
                "keep min_score within the scale",
                at="min_score",
                also="scale",
            )
        return self


class Filter(Section):
    """Which generated questions are kept."""

    dedup: FilterDedup | None = Field(default_factory=FilterDedup, description="drops questions too alike; null is off")
    roundtrip: Roundtrip | None = Field(
        default_factory=Roundtrip, description="drops questions that do not find their document; null is off"
    )
    judge: Judge | None = Field(
        default_factory=Judge, description="drops questions a language model scores low; null is off"
    )
    max_overlap: Share | None = Field(
        default=0.8, description="drops questions that copy more of the passage; null is off"
    )


class ClickFields(Section):
    """Which field of a click log is what."""

    query: Text | None = Field(default=None, description="the query; null is query")
    shown: Text | None = Field(default=None, description="the documents shown; null is shown")
    clicked: Text | None = Field(default=None, description="the documents clicked; null is clicked")
    position: Text | None = Field(default=None, description="the position; null is position")
    dwell: Text | None = Field(default=None, description="seconds spent on the document; null is none")


class ClickLog(Section):
    """A log of what was shown and clicked."""

    path: Path = Field(description="file of the log")
    fields: ClickFields = Field(default_factory=ClickFields, description="which field of a row is what")


class Propensity(Section):
    """How likely a position is to be looked at."""

    estimate: Literal["em", "power"] = Field(default="em", description="estimated from the log, or (1/position)^eta")
    eta: Amount = Field(default=1.0, description="the exponent of power, and where em begins")


class Debias(Section):
    """How clicks are weighted for the position they were shown at."""

    model: Literal["pbm"] = Field(default="pbm", description="the click model: position-based")
    propensity: Propensity = Field(default_factory=Propensity, description="how likely a position is to be looked at")
    clip: Annotated[float, Field(ge=1), Says("a number")] = Field(default=10.0, description="the largest weight")
    min_impressions: Natural = Field(default=5, description="pairs shown less often are left out")
    min_dwell_s: Amount = Field(default=10.0, description="shorter visits count as no click")


FieldMap = Annotated[dict[str, Text], AfterValidator(_known_fields), Says("a mapping from our fields to the file's")]
OWNED = (("qrels", "path"), ("fields", "path"), ("filter", "generate"), ("debias", "click_log"))  # what goes with what
SOURCES = ("path", "from", "generate", "click_log")


class Pairs(Section):
    """A source of pairs, a stage of its own."""

    name: Name = Field(description="the source's name, and its stage's: pairs.NAME")
    path: Path | None = Field(default=None, description="a file of pairs, a glob of them, a BEIR folder, or an address")
    # A word that Python keeps for itself is a field all the same.
    __annotations__["from"] = 'Literal["headings"] | None'
    vars()["from"] = Field(default=None, description="pairs made from the corpus: its headings as weak questions")
    format: Literal["auto", "embspec", "beir", "bge", "cohere", "tevatron", "llamaindex", "csv", "faq"] = Field(
        default="auto", description="how the file is read"
    )
    qrels: Text | None = Field(default=None, description="which qrels/NAME.tsv of a BEIR folder")
    generate: Generate | None = Field(default=None, description="questions that a language model writes")
    filter: Filter | None = Field(default=None, description="which generated questions are kept")
    click_log: ClickLog | None = Field(default=None, description="a log of what was shown and clicked")
    debias: Debias | None = Field(default=None, description="how clicks are weighted")
    trust: Literal["gold", "curated", "synthetic", "implicit"] | None = Field(
        default=None,
        description="how far it is trusted; null is gold for a file, implicit for clicks, else synthetic",
    )
    roles: Roles | None = Field(default=None, description="where its pairs may go; null goes by trust")
    fields: FieldMap = Field(default={}, description="names of the fields in the file, by ours")
    weight: Positive = Field(default=1.0, description="how much its pairs count in training")

    @model_validator(mode="after")
    def _one_source(self) -> Pairs:
        given = [field for field in SOURCES if getattr(self, field) is not None]
        if not given:
            raise wrong(
                "spec.missing",
                f"`{self.name}` has no pairs",
                "add `path`, `from`, `generate` or `click_log`",
                at="name",
            )
        if len(given) > 1:
            raise wrong(
                "spec.conflict",
                f"`{self.name}` has both `{given[0]}` and `{given[1]}`",
                "make them two sources",
                at=given[1],
                also=given[0],
            )
        for field, owner in OWNED:
            if getattr(self, field) not in (None, {}) and given != [owner]:
                raise wrong(
                    "spec.conflict",
                    f"`{field}` goes with `{owner}`, and `{self.name}` has `{given[0]}`",
                    f"remove `{field}`",
                    at=field,
                    also=given[0],
                )
        return self
