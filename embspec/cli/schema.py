"""embspec schema"""
from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from embspec.report.schemas import LOCK, OUTPUT, REPORT
from embspec.spec.schema import schema

SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "spec": schema,
    "lock": lambda: LOCK,
    "report": lambda: REPORT,
    "output": lambda: OUTPUT,
}


def text(name: str) -> str:
    """The bytes that lie in schemas/."""
    return json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n"


@click.command("schema")
@click.argument("name", type=click.Choice(list(SCHEMAS)), default="spec")
def command(name: str) -> None:
    """Print a JSON Schema, the same bytes as in schemas/.

    Example: embspec schema spec > spec.schema.json
    """
    click.echo(text(name), nl=False)
