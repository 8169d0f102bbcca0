"""A report of a build without results."""
from __future__ import annotations

from typing import Any

BARE: dict[str, Any] = {
    "name": None,
    "version": None,
    "description": None,
    "verdict": None,
    "metrics": [],
    "compared": [],
    "identifiers": 0,
    "retention": [],
    "ships": None,
    "tried": None,
    "training": None,
    "negatives": None,
    "suites": [],
    "split": None,
    "lengths": None,
    "duplicates": None,
    "documents": 0,
    "tokenizer": None,
    "hardest": [],
}
