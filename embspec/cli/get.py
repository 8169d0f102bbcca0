"""embspec get"""
from __future__ import annotations

import click

from embspec.api import GETTABLE
from embspec.cli.common import Asked, lock_options, put, say
from embspec.cli.progress import telling
from embspec.errors import OK


@click.command("get")
@lock_options
@click.option("-o", "--out", "folder", default="", metavar="DIR", help="Where to; by default NAME-WHAT[-REV] here.")
@click.option("--what", type=click.Choice(GETTABLE), default=GETTABLE[0], show_default=True)
@click.option("--no-run", is_flag=True, help="Only fetch; what the store lacks is an error.")
def command(asked: Asked, folder: str, what: str, no_run: bool) -> None:
    """Bring a past or present model, ONNX, index or report into a folder; the work tree is not touched.

    REV is a git revision or a lock file; without it the lock of the work tree is taken. What the store lacks is built
    again, in a folder apart, and has to come out as the lock says.

    Example: embspec get v1.2 specs/handbook.yaml --what index -o old-index
    """
    revision = next(iter(asked.words(1, "a revision and a spec")), "")
    of = asked.project(revision=revision)
    with telling(asked.quiet or asked.json, asked.verbose) as tell:
        got = of.get(what, revision, folder, not no_run, tell)
    if asked.json:
        put({"exit": OK, "spec": of.at.shown(of.at.spec), **got._asdict()})
        return
    if not revision and of.lock.verdict not in ("", "green"):
        say(f"{of.at.name}: the verdict is {of.lock.verdict}: model and pages are the candidate's, "
            "the index is that of the last green build")
    said = f"{got.files} files, {got.bytes} bytes" if got.fresh else "it lay there already, with the same bytes"
    click.echo(got.folder)
    say(f"{of.at.name}: {what}" + (f" of {revision}" if revision else "") + f" in {got.folder} ({said})", asked.quiet)
