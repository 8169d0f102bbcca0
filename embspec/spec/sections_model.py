"""The sections about the model: its base, and how it is tuned."""
from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from embspec.spec.types import (
    LISTED,
    AutoText,
    Count,
    Endpoint,
    Env,
    Flag,
    Located,
    Names,
    Packed,
    Path,
    Says,
    Section,
    Text,
    kind_of,
    unique,
    wrong,
)


class StaticFiles(Section):
    """A table of token vectors and its tokenizer."""

    weights: Packed = Field(description="safetensors file of the token vectors, or package:NAME/FILE")
    tokenizer: Packed = Field(description="tokenizer file, or package:NAME/FILE")


class StaticBase(Section):
    """A base made of token vectors without a transformer."""

    static: StaticFiles = Field(description="a base made of token vectors without a transformer")


class ModelEndpoint(Section):
    """Where a closed model is asked for vectors that the files lack."""

    kind: Literal["openai_compatible"] = Field(default="openai_compatible", description="the interface it speaks")
    base_url: Endpoint = Field(description="its address, or env:NAME")
    api_key: Env | None = Field(default=None, description="env:NAME of its key")
    model: Text | None = Field(default=None, description="the model's name there")


class VectorFiles(Section):
    """Vectors of a closed model, rows by text."""

    documents: Path = Field(description="safetensors file of the documents' vectors")
    queries: Path = Field(description="safetensors file of the queries' vectors")
    endpoint: ModelEndpoint | None = Field(default=None, description="asked for what the files lack; answers are kept")


class VectorsBase(Section):
    """A closed model known by its vectors."""

    vectors: VectorFiles = Field(description="a closed model known by its vectors")


def _base_kind(value: Any) -> str:
    if isinstance(value, dict):
        # A key that is neither falls to `static`, whose section then refuses it by name.
        return "|vectors" if "vectors" in value and "static" not in value else "|static"
    return kind_of(value)


Base = Annotated[
    Annotated[Located, Tag("|text")] | Annotated[StaticBase, Tag("|static")] | Annotated[VectorsBase, Tag("|vectors")],
    Discriminator(_base_kind),
    Says("a hub id, a ./folder, package:NAME/FOLDER, or a mapping with `static` or `vectors`"),
]


class Prompts(Section):
    """Texts put before every query and document."""

    query: Annotated[str, Says("text")] | None = Field(
        default=None, description="put before a query; null is the model's own"
    )
    document: Annotated[str, Says("text")] | None = Field(
        default=None, description="put before a document; null is the model's own"
    )


def _modules(value: Any) -> Any:
    return value if value == "auto" or not isinstance(value, str) else [value]


Modules = Annotated[
    AutoText | Annotated[Annotated[list[Text], Field(min_length=1), AfterValidator(unique)], Tag("|list")],
    Discriminator(kind_of),
    BeforeValidator(_modules),
    WithJsonSchema(LISTED),
    Says("`auto`, or a list of module names"),
]


class Lora(Section):
    """Low-rank adapters, used with `method: lora`."""

    r: Count = Field(default=16, description="rank")
    lora_alpha: Count = Field(default=32, description="scale of the adapter")
    lora_dropout: Annotated[float, Field(ge=0, lt=1), Says("a number")] = Field(
        default=0.05, description="dropout in the adapter"
    )
    target_modules: Modules = Field(default="auto", description="modules that get an adapter; auto is the attention's")
    merge: Flag = Field(default=True, description="fold the adapter into the weights")


class QueryAdapter(Section):
    """A map of query vectors alone, used with `method: query_adapter`: documents keep their vectors."""

    kind: Literal["linear"] = Field(default="linear", description="shape of the adapter")
    init: Literal["identity"] = Field(default="identity", description="where training begins")
    bias: Flag = Field(default=False, description="add a constant vector")


class Model(Section):
    """The embedding model; a spec without one is judged by BM25 alone."""

    base: Base = Field(description="hub id, ./folder, package:NAME/FOLDER, or a mapping: static or vectors")
    revision: Text = Field(default="auto", description="revision on the hub; auto is resolved and pinned")
    trust_remote_code: Flag = Field(default=False, description="run Python code that comes with the base")
    max_seq_length: Count | None = Field(default=None, description="tokens read of a text; null is the model's own")
    similarity_fn_name: Literal["cosine", "dot"] | None = Field(
        default=None, description="how vectors are compared; null is the model's own"
    )
    prompts: Prompts = Field(default_factory=Prompts, description="texts put before every query and document")
    method: Literal["full", "lora", "query_adapter", "static"] | None = Field(
        default=None, description="what is trained; null is static for a static base, else full"
    )
    lora: Lora = Field(default_factory=Lora, description="adapters of method lora")
    query_adapter: QueryAdapter = Field(default_factory=QueryAdapter, description="the adapter of method query_adapter")
    candidates: Names = Field(default=[], description="other bases that advise compares")

    @model_validator(mode="after")
    def _method_fits(self) -> Model:
        static = isinstance(self.base, StaticBase)
        if static and self.method in ("full", "lora"):
            raise wrong(
                "spec.conflict",
                f"method {self.method} cannot train a static base",
                "write `method: static`",
                at="method",
                also="base",
            )
        if isinstance(self.base, VectorsBase) and self.method == "static":
            raise wrong(
                "spec.conflict",
                "method static needs a table of token vectors",
                "take another base",
                at="method",
                also="base",
            )
        return self
