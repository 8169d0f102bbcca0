"""The sections about evaluation and gates."""
from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from embspec.spec.types import (
    Amount,
    AutoText,
    Command,
    Count,
    Metrics,
    Name,
    Number,
    Path,
    Says,
    Section,
    Share,
    Systems,
    Text,
    kind_of,
    only_key,
    unique,
    wrong,
)


class SplitSuite(Section):
    """Queries of this spec's own split."""

    split: Literal["test", "validation"] = Field(description="a part of this spec's own pairs")


class DocumentSuite(Section):
    """The same queries, and what is found for them by document."""

    split: Literal["test", "validation"] = Field(description="a part of this spec's own pairs")
    by: Literal["text", "document"] = Field(
        description="what is found: texts as they are searched, or the documents that they are parts of"
    )


class BeirSuite(Section):
    """A BEIR folder with a corpus of its own."""

    beir: Path = Field(description="a BEIR folder with a corpus of its own")


class FileSuite(Section):
    """Another file of judged queries over this corpus."""

    path: Path = Field(description="another file of judged queries")


class CommandSuite(Section):
    """An outside scorer of answers."""

    command: Command = Field(description="reads and writes JSON lines; needs --allow-code")
    metrics: Annotated[list[Name], Field(min_length=1), AfterValidator(unique), Says("a list of names")] = Field(
        description="the metrics it returns, each from 0 to 1"
    )


def _suite_kind(value: Any) -> str:
    if isinstance(value, dict):
        # `split` stands for a mapping that names no kind: its section then says what is missing.
        return next((f"|{kind}" for kind in ("command", "beir", "path", "by", "split") if kind in value), "|split")
    return kind_of(value)


Suite = Annotated[
    Annotated[SplitSuite, Tag("|split")]
    | Annotated[DocumentSuite, Tag("|by")]
    | Annotated[BeirSuite, Tag("|beir")]
    | Annotated[FileSuite, Tag("|path")]
    | Annotated[CommandSuite, Tag("|command")],
    Discriminator(_suite_kind),
    Says("a mapping with `split`, `beir`, `path` or `command`"),
]


class Bm25(Section):
    """The words' side of retrieval."""

    tokenizer: Literal["auto", "words", "identifiers", "char_bigrams", "simple"] = Field(
        default="auto", description="how texts become words; auto is chosen on validation"
    )
    language: Literal[
        "auto", "none", "english", "german", "french", "spanish", "italian", "dutch", "portuguese", "swedish", "danish",
        "norwegian", "finnish", "russian",
    ] = Field(default="auto", description="of `words`: whose stop words and stems; auto is found in the documents")
    stem: bool = Field(default=True, description="of `words`: whether words are counted by their stems")
    k1: Amount = Field(default=1.2, description="how soon a repeated word stops counting")
    b: Share = Field(default=0.75, description="how much long documents are held back")


class Fusion(Section):
    """How model and words are put together."""

    method: Literal["auto", "none", "rrf", "weighted"] = Field(
        default="auto", description="auto is chosen on validation, never on test"
    )


class DifficultySlice(Section):
    """Queries by how hard they are."""

    difficulty: Literal["bm25_rank"] = Field(description="queries by the rank at which BM25 finds the answer")


class IdentifierSlice(Section):
    """Queries with identifiers in them."""

    identifiers: Literal[True] = Field(description="queries with codes or names of parts in them")


Slice = Annotated[
    Annotated[Text, Tag("|text")]
    | Annotated[DifficultySlice, Tag("|difficulty")]
    | Annotated[IdentifierSlice, Tag("|identifiers")],
    Discriminator(only_key),
    Says("a field's name, `{difficulty: bm25_rank}` or `{identifiers: true}`"),
]


def _slice_text(value: list[Any]) -> list[str]:
    """One word for each slice, so that a list of slices is a list of scalars everywhere."""
    words = [item if isinstance(item, str) else ":".join(_pair(item)) for item in value]
    return [str(word) for word in unique(words)]


def _pair(item: Section) -> tuple[str, str]:
    name, value = next(iter(item))
    return name, "true" if value is True else str(value)


class Statistics(Section):
    """How intervals are computed."""

    test: Literal["paired_bootstrap"] = Field(default="paired_bootstrap", description="how two systems are compared")
    resamples: Annotated[Count, Field(ge=100, le=1_000_000), Says("a whole number")] = Field(
        default=10000, description="times the queries are drawn again"
    )
    cluster: Literal["document", "query"] = Field(default="document", description="what is drawn together")


def _dims(value: Any) -> Any:
    # One `auto` alone is the same wish in a list or out of it.
    return "auto" if value == ["auto"] else value


DimList = Annotated[
    list[
        Annotated[AutoText | Annotated[Count, Tag("|number")], Discriminator(kind_of), Says("`auto` or a whole number")]
    ],
    Field(min_length=1),
    AfterValidator(unique),
]
EvalDims = Annotated[
    AutoText | Annotated[DimList, Tag("|list")],
    Discriminator(kind_of),
    BeforeValidator(_dims),
    Says("`auto` or a list of whole numbers"),
]
Precision = Literal["float32", "int8", "binary"]


class Eval(Section):
    """What is measured."""

    metrics: Metrics = Field(
        default=["recall@5", "recall@10", "recall@100", "precision@5", "mrr@10", "ndcg@10"],
        description="metrics of the table",
    )
    dims: EvalDims = Field(default="auto", description="dimensions measured; auto is those of loss.matryoshka")
    precisions: Annotated[
        list[Precision], Field(min_length=1), AfterValidator(unique), Says("a list of precisions")
    ] = Field(default=["float32"], description="precisions measured")
    suites: dict[Name, Suite] = Field(
        default={}, description="sets of queries by name; domain, the test split, is always there"
    )
    systems: Systems | None = Field(
        default=None,
        description="what is compared; null is base, bm25, hybrid, tuned, tuned+bm25, without a model bm25",
    )
    bm25: Bm25 = Field(default_factory=Bm25, description="the words' side of retrieval")
    fusion: Fusion = Field(default_factory=Fusion, description="how model and words are put together")
    reranker: Text | None = Field(default=None, description="id of the cross-encoder behind +rerank")
    runs: dict[Name, Path] = Field(default={}, description="rankings made elsewhere, by name")
    slices: Annotated[list[Slice], AfterValidator(_slice_text), Says("a list of slices")] = Field(
        default=[], description="groups of queries shown apart"
    )
    statistics: Statistics = Field(default_factory=Statistics, description="how intervals are computed")

    @model_validator(mode="after")
    def _domain_is_test(self) -> Eval:
        domain = self.suites.get("domain")
        if domain is not None and not (isinstance(domain, SplitSuite) and domain.split == "test"):
            # A gate without a suite is judged there, and nothing may be judged on what it was chosen by.
            raise wrong("spec.conflict", "the suite `domain` is the test split, always",
                        "give this suite another name, and gates `on` that", at="suites")
        return self


class GateMapping(Section):
    """A gate as a mapping; the line says the same in fewer words."""

    metric: Text | None = Field(default=None, description="a metric such as recall@10")
    dim: Count | None = Field(default=None, description="dimensions judged; null is what ships")
    precision: Precision | None = Field(default=None, description="precision judged; null is what ships")
    suite: Text | None = Field(default=None, description="set of queries; null is domain")
    system: Text | None = Field(default=None, description="system judged; null is what ships")
    slice: Text | None = Field(default=None, description="group of queries, or any")
    relative_to: Text | None = Field(
        default=None, description="what it is held against: base, full, float32, hybrid, bm25, locked …"
    )
    min: Number | None = Field(default=None, description="the least value")
    max: Number | None = Field(default=None, description="the largest value")
    min_gain: Amount | None = Field(default=None, description="the least gain over relative_to")
    max_drop: Amount | None = Field(default=None, description="the largest loss against relative_to")
    min_retention: Amount | None = Field(default=None, description="the least share of relative_to")
    confidence: Number | None = Field(
        default=None, description="0.95 holds the bound of the interval to it; null the point"
    )
    on_inconclusive: Literal["warn", "fail"] | None = Field(default=None, description="what an open verdict means")
    min_queries: Count | None = Field(default=None, description="smaller slices are not judged")
    generalisation_gap: Number | None = Field(default=None, description="the largest gap between train and test")
    onnx_cosine: Number | None = Field(default=None, description="the least likeness of ONNX and the model")
    truncated_fraction: Number | None = Field(default=None, description="the largest share of documents cut short")
    latency_p50_ms: Amount | None = Field(default=None, description="the largest median latency, measured here")
    latency_p95_ms: Amount | None = Field(
        default=None, description="the largest 95th percentile of latency, measured here"
    )
    artifact_mb: Amount | None = Field(default=None, description="the largest size")
    device: Text | None = Field(default=None, description="where latency is measured")
    batch: Count | None = Field(default=None, description="queries at once when latency is measured")


GateItem = Annotated[
    Annotated[Text, Tag("|text")]
    | Annotated[dict[str, Any], Field(min_length=1), WithJsonSchema({"$comment": "GateMapping"}), Tag("|mapping")],
    Discriminator(kind_of),
    Says("a gate: a line such as `recall@10 >= 0.8`, or a mapping"),
]
