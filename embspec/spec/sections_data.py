"""The sections about documents, labels and the split."""
from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from embspec.spec.types import (
    Command,
    Count,
    Flag,
    Likeness,
    Natural,
    Number,
    Path,
    Paths,
    Says,
    Section,
    Share,
    Text,
    Texts,
    kind_of,
    unique,
    wrong,
)


class CorpusFields(Section):
    """Which field of a row is what."""

    id: Text | None = Field(default=None, description="the document's id; null is _id or id")
    text: Text | None = Field(default=None, description="the text; null is text")
    title: Text | None = Field(default=None, description="the title; null is title")
    document: Text | None = Field(default=None, description="the parent document of a chunk")


class NoChunks(Section):
    """Each document is one text."""

    strategy: Literal["none", "structure", "sentences"] = Field(
        default="none", description="how documents are cut: not at all, by headings and paragraphs, or by sentences"
    )


class ContextCommand(Section):
    """A command that writes the context of a chunk."""

    command: Command = Field(description="run for the chunks; needs --allow-code")
    tokens: Count | None = Field(
        default=None, description="tokens of a context at most, taken from those of the chunk; null is a quarter"
    )


Context = Annotated[
    Annotated[Literal["none", "headings"], Tag("|text")] | Annotated[ContextCommand, Tag("|mapping")],
    Discriminator(kind_of),
    Says("none, headings or a mapping with `command`"),
]


class StructureChunks(Section):
    """Documents are cut by headings and paragraphs."""

    strategy: Literal["structure"] = Field(description="how documents are cut")
    tokens: Count = Field(default=256, description="tokens of a chunk at most")
    overlap: Natural = Field(default=32, description="tokens that a chunk shares with the one before")
    context: Context = Field(
        default="none", description="what is put before a chunk: none, headings, or a command's answer"
    )

    @model_validator(mode="after")
    def _overlap_fits(self) -> StructureChunks:
        if self.overlap >= self.tokens:
            raise wrong(
                "spec.conflict",
                f"an overlap of {self.overlap} leaves nothing of {self.tokens} tokens",
                "make overlap smaller than tokens",
                at="overlap",
                also="tokens",
            )
        taken = self.context.tokens if isinstance(self.context, ContextCommand) else None
        if taken is not None and taken >= self.tokens:
            raise wrong(
                "spec.conflict",
                f"a context of {taken} leaves nothing of {self.tokens} tokens",
                "make the context's tokens fewer than the chunk's",
                at="context",
                also="tokens",
            )
        return self


class SentenceChunks(Section):
    """Documents are cut by sentences."""

    strategy: Literal["sentences"] = Field(description="how documents are cut")
    n: Count = Field(default=5, description="sentences of a chunk")


def _chunk_kind(value: Any) -> str:
    if not isinstance(value, dict):
        return kind_of(value)
    strategy = value.get("strategy")
    return f"|{strategy}" if strategy in ("structure", "sentences") else "|none"


Chunking = Annotated[
    Annotated[NoChunks, Tag("|none")]
    | Annotated[StructureChunks, Tag("|structure")]
    | Annotated[SentenceChunks, Tag("|sentences")],
    Discriminator(_chunk_kind),
    Says("a mapping with `strategy`"),
]


class CorpusDedup(Section):
    """Grouping of duplicates; nothing is deleted."""

    exact: Flag = Field(default=True, description="group documents with equal text")
    near: Likeness | None = Field(default=0.9, description="group documents this alike; null is off")


class Corpus(Section):
    """The documents that are searched."""

    path: Paths = Field(
        description="globs of jsonl, csv, tsv, parquet, md, html, txt, rst, pdf or docx; a BEIR folder; an address"
    )
    fields: CorpusFields = Field(default_factory=CorpusFields, description="which field of a row is what")
    metadata: Texts = Field(default=[], description="fields kept with each document")
    chunking: Chunking = Field(
        default_factory=lambda: NoChunks(strategy="none"), description="how documents are cut into texts"
    )
    train_on: Literal["snapshot", "live"] = Field(
        default="snapshot", description="whether training sees the pinned snapshot or the live documents"
    )
    normalize: Literal["nfc", "none"] = Field(default="nfc", description="Unicode form of the texts")
    dedup: CorpusDedup = Field(default_factory=CorpusDedup, description="grouping of duplicates")
    max_truncated_fraction: Share = Field(
        default=0.02, description="a warning when more documents than this are cut short"
    )
    keep_raw: Flag = Field(default=False, description="keep the source files in the store too")


class Teacher(Section):
    """Scores for the distillation losses."""

    cross_encoder: Text | None = Field(default=None, description="id of the cross-encoder that scores the examples")
    scores: Path | None = Field(default=None, description="a file of scores made elsewhere")

    @model_validator(mode="after")
    def _one(self) -> Teacher:
        if (self.cross_encoder is None) == (self.scores is None):
            raise wrong(
                "spec.conflict",
                "a teacher has either `cross_encoder` or `scores`",
                "write one of the two",
                at="cross_encoder",
                also="scores",
            )
        return self


class Labels(Section):
    """How doubtful pairs are found and judged."""

    noise_score: Literal["auto", "cross_encoder", "bm25", "off"] = Field(
        default="auto", description="what scores a pair's doubt"
    )
    drop_below: Number | None = Field(default=None, description="training pairs that score lower are dropped")
    review: Path | None = Field(default=None, description="what people decided about pairs")
    teacher: Teacher | None = Field(default=None, description="scores for the distillation losses")


class MinQueries(Section):
    """Queries a split needs at least."""

    test: Natural = Field(default=200, description="queries the test set needs at least")
    validation: Natural = Field(default=100, description="queries validation needs at least")


class Split(Section):
    """How pairs are divided into train, validation and test."""

    by: Literal["document", "group", "time", "given", "query"] = Field(
        default="document",
        description="what stays together; given takes the sources' roles, query is discouraged: it leaks",
    )
    on_leak: Literal["error", "report"] = Field(default="error", description="what a leak between train and test is")
    near_duplicate_threshold: Likeness = Field(default=0.9, description="texts this alike never cross splits")
    test: Annotated[float, Field(ge=0, lt=1), Says("a number")] = Field(
        default=0.15, description="share of the test set"
    )
    validation: Annotated[float, Field(ge=0, lt=1), Says("a number")] = Field(
        default=0.10, description="share of validation"
    )
    time_column: Text | None = Field(default=None, description="the pairs' field that by: time sorts by")
    freeze: Flag = Field(default=True, description="pin the test queries: growth is reported, change is an error")
    min_queries: MinQueries = Field(default_factory=MinQueries, description="queries a split needs at least")

    @model_validator(mode="after")
    def _fits(self) -> Split:
        if self.test + self.validation >= 1:
            raise wrong(
                "spec.conflict",
                f"test {self.test} and validation {self.validation} leave nothing to train on",
                "their sum has to be under 1",
                at="test",
                also="validation",
            )
        if self.by == "time" and self.time_column is None:
            raise wrong(
                "spec.conflict", "by: time needs a time_column", "name the pairs' field that holds the time", at="by"
            )
        return self


Role = Literal["train", "validation", "test"]
Roles = Annotated[list[Role], Field(min_length=1), AfterValidator(unique), Says("a list of train, validation and test")]
