"""The whole spec: every section, in the order in which it is written and flattened."""
from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from embspec.spec.sections_data import Corpus, Labels, Split
from embspec.spec.sections_eval import Eval, GateItem
from embspec.spec.sections_model import Model
from embspec.spec.sections_pairs import Pairs
from embspec.spec.sections_ship import Advise, Export, Index, Keys, Prices, Remote, Triggers
from embspec.spec.sections_train import Loss, Negatives, Numerics, Train
from embspec.spec.types import Natural, Says, Section, Text

VERSION = 1
NAMED = ("pairs", "index.sinks")
"""Lists whose items are known by their `name`."""
WORDING = ("extends", "unset")
"""Keys that say how a spec is put together, and have no value in the result."""

Gates = Annotated[list[GateItem], Says("a list of gates such as `recall@10 >= 0.8`")]
Seed = Annotated[Natural, Field(lt=2**63)]


class Spec(Section):
    """What a person writes: one spec of a tuned embedding model."""

    embspec: Literal[1] = Field(description="version of the spec's vocabulary")
    extends: Text | None = Field(default=None, description="another spec that this one builds on")
    unset: list[Text] = Field(default=[], description="inherited fields that go back to their defaults")
    name: Text | None = Field(default=None, description="the model's name, for people and cards")
    version: Text | None = Field(default=None, description="the model's version, for people")
    description: Text | None = Field(default=None, description="what the model is for")
    seed: Seed = Field(default=42, description="everything random draws from it")
    risk: Literal["standard", "high"] = Field(
        default="standard", description="high makes gates tighter: inconclusive is a failure"
    )
    model: Model | None = Field(default=None, description="the embedding model; without one BM25 alone is judged")
    corpus: Corpus = Field(description="the documents that are searched")
    pairs: list[Pairs] = Field(default=[], description="sources of query-document pairs")
    labels: Labels | None = Field(default=None, description="how doubtful pairs are found and judged")
    split: Split = Field(default_factory=Split, description="how pairs are divided into train, validation and test")
    negatives: Negatives = Field(default_factory=Negatives, description="how hard negatives are found")
    loss: Loss = Field(default_factory=Loss, description="what training makes small")
    train: Train = Field(default_factory=Train, description="the trainer")
    numerics: Numerics = Field(default_factory=Numerics, description="how floating-point results are made to repeat")
    eval: Eval = Field(default_factory=Eval, description="what is measured")
    gates: Gates = Field(default=[], description="what has to hold before a model ships")
    export: Export = Field(default_factory=Export, description="other forms of the model")
    index: Index = Field(default_factory=Index, description="the vectors that serve")
    retrain_when: Triggers = Field(default=[], description="when status asks for a new model")
    advise: Advise = Field(default_factory=Advise, description="the limits of advice")
    prices: Prices | None = Field(default=None, description="what things cost here")
    keys: Keys = Field(default_factory=Keys, description="what counts into a stage's key")
    remote: Remote | None = Field(default=None, description="the store that a team shares")
