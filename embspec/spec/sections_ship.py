"""The sections about what is shipped, watched and paid for."""
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from embspec.spec.triggers import canonical
from embspec.spec.types import (
    Address,
    Amount,
    Count,
    Flag,
    Likeness,
    Metric,
    Name,
    Natural,
    Says,
    Section,
    Share,
    Text,
    kind_of,
    wrong,
)


class OnnxInt8(Section):
    """The quantised ONNX model."""

    per_channel: Flag = Field(default=True, description="a scale for each channel")


Int8 = Annotated[
    Annotated[OnnxInt8, Tag("|mapping")] | Annotated[Literal[False], Tag("|flag")],
    Discriminator(kind_of),
    Says("a mapping, or false"),
]


class Onnx(Section):
    """The model as ONNX."""

    opset: Annotated[Count, Field(ge=14, le=24), Says("a whole number")] = Field(
        default=17, description="ONNX operator set"
    )
    int8: Int8 = Field(default_factory=OnnxInt8, description="a quantised model beside it, or false")


OnnxOrOff = Annotated[
    Annotated[Onnx, Tag("|mapping")] | Annotated[Literal[False], Tag("|flag")],
    Discriminator(kind_of),
    Says("a mapping such as {opset: 17}, or false"),
]


class Export(Section):
    """Other forms of the model."""

    onnx: OnnxOrOff = Field(default=False, description="the model as ONNX, or false")
    golden_vectors: Natural = Field(default=32, description="texts whose vectors are kept for checks elsewhere")


class Smallest(Section):
    """The bound that chooses the dimension."""

    metric: Metric = Field(default="ndcg@10", description="what has to be kept")
    min_retention: Likeness = Field(default=0.99, description="the share of the full dimension's value to keep")


class SmallestDim(Section):
    """A dimension chosen by the evaluation."""

    smallest: Smallest = Field(description="the smallest dimension that keeps this much, chosen on validation")


TruncateDim = Annotated[
    Annotated[Count, Tag("|number")] | Annotated[SmallestDim, Tag("|mapping")],
    Discriminator(kind_of),
    Says("a whole number or a mapping with `smallest`"),
]


class Sink(Section):
    """A database that gets the vectors."""

    name: Name = Field(description="the sink's name")
    kind: Literal["pgvector", "lancedb", "sqlite-vec", "qdrant", "chroma", "milvus"] = Field(
        description="which database"
    )
    url: Address = Field(description="its address, a path, or env:NAME")
    table: Text | None = Field(default=None, description="table or collection; null is the spec's name")


class Index(Section):
    """The vectors that serve."""

    truncate_dim: TruncateDim | None = Field(
        default=None, description="dimensions kept: a number, or {smallest: …}; null is all"
    )
    precision: Literal["float32", "int8", "binary"] = Field(default="float32", description="numbers of the vectors")
    keep_versions: Count = Field(default=2, description="versions a sink keeps, to roll back to")
    sinks: list[Sink] = Field(default=[], description="databases that get the vectors")


def _triggers(value: list[str]) -> list[str]:
    lines: list[str] = []
    for n, text in enumerate(value):
        line, problem, fix = canonical(text)
        if problem:
            raise wrong("spec.trigger", problem, fix, at=str(n))
        if line in lines:
            raise wrong("spec.duplicate", f"`{line}` is listed twice", "list it once", at=str(n))
        lines.append(line)
    return lines


Triggers = Annotated[list[Text], AfterValidator(_triggers), Says("a list of conditions such as `corpus_changed > 0.2`")]


class Advise(Section):
    """The limits of advice."""

    min_pairs: Natural = Field(default=1000, description="fewer effective pairs than this are too few to tune on")
    tune_below: Share = Field(default=0.70, description="a base with less recall@10 is worth tuning")
    skip_above: Share = Field(default=0.90, description="a base with more recall@10 is good enough")
    hybrid_closes: Share = Field(default=0.8, description="share of the gap that hybrid has to close to be enough")
    min_documents: Natural = Field(default=500, description="a warning with fewer documents")


class Prices(Section):
    """What things cost here, for the estimates of plan and advise."""

    gpu_hour: Amount | None = Field(default=None, description="an hour of the machine")
    llm_mtok: Amount | None = Field(default=None, description="a million tokens of the language model")


class Keys(Section):
    """What counts into a stage's key."""

    env: Literal["record", "pin"] = Field(default="record", description="the environment is recorded, or keyed too")


class Remote(Section):
    """The store that a team shares."""

    url: Address = Field(description="s3://, gs://, az://, https://, file://, or a relative folder")
    read: Literal["all", "ci", "none"] = Field(default="all", description="who reads it")
    write: Literal["all", "ci", "none"] = Field(default="ci", description="who writes it")
