"""embspec verify"""
from __future__ import annotations

import click

from embspec.cli.common import Asked, lock_options, put, say
from embspec.errors import OK, fail


@click.command("verify")
@lock_options
def command(asked: Asked) -> None:
    """Hash every file of a model or index folder and compare with its manifest and the lock: 0, or 50 naming each.

    The lock is that of the work tree, or of a git revision or lock file named after the folder.

    Example: embspec verify out/handbook/model specs/handbook.yaml
    """
    given = asked.words(2, "a folder, a revision and a spec")
    if not given:
        raise fail("usage.folder", "verify needs a folder", fix="for example: embspec verify out/NAME/model")
    of = asked.project()
    found = of.verify(given[0], given[1] if len(given) > 1 else "")
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), **found._asdict()})
        return
    click.echo(f"{found.folder}: {found.files} files are what the lock names ({found.kind} {found.digest})")
    for note in found.notes:
        say(f"{of.at.name}: {note}", asked.quiet)
