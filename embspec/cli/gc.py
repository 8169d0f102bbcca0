"""embspec gc"""
from __future__ import annotations

import os
from math import isfinite

import click

from embspec.api import reach, store_folder
from embspec.cli.common import Asked, lock_options, put, say
from embspec.errors import OK
from embspec.plan.price import size


@click.command("gc")
@lock_options
@click.option("--days", type=click.FloatRange(min=0), default=14.0, metavar="N", show_default=True,
              help="Keep what was written or used in the last N days.")
@click.option("--now", is_flag=True, help="Delete at once; without it what is freed lies in the trash for a day.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be freed, and what each branch keeps.")
@click.option("--keep", metavar="NAME", help="Keep what the lock names, here or at REV, until NAME is dropped.")
@click.option("--drop", metavar="NAME", help="Let go of what NAME keeps, or of a project by its folder.")
def command(asked: Asked, days: float, now: bool, dry: bool, keep: str | None, drop: str | None) -> None:
    """Free what no lock reaches: of any project that used this store, in its work trees, branches, tags and stashes.

    A gc may run beside builds, and takes nothing that they need. What it freed comes back for whoever asks in time.

    Example: embspec gc --keep v1 v1.0 specs/handbook.yaml
    """
    if not isfinite(days):
        raise click.UsageError(f"--days takes a number of days, not {days}")
    words = asked.words(1 if keep else 0, "a revision and a spec" if keep else "a spec")
    if keep and drop:
        raise click.UsageError("--keep does not go with --drop")
    if (keep or drop) and (dry or now):
        raise click.UsageError(f"--{'keep' if keep else 'drop'} frees nothing: it goes without --dry-run and --now")
    if keep:
        of = asked.project()
        store = of.world.objects.store
        reach.keep(store, of.at, keep, words[0] if words else "")
        _done(asked, store, f"all that the lock names{f' at {words[0]}' if words else ''} is kept as {keep}")
    elif drop:
        store = store_folder(os.environ)
        reach.drop(store, drop)
        _done(asked, store, f"{drop} keeps nothing any more")
    else:
        _collect(asked, days, now, dry)


def _done(asked: Asked, store: str, text: str) -> None:
    if asked.json:
        put({"exit": OK, "store": store, "names": sorted(reach.kept(store))})
    say(text, asked.quiet)


def _collect(asked: Asked, days: float, now: bool, dry: bool) -> None:
    of = asked.any_project()
    store = of.world.objects.store if of else store_folder(os.environ)
    found = reach.collect(store, of.at if of else None, days, now, dry)
    if asked.json:
        piles = {name: [p._asdict() for p in getattr(found, name)] for name in ("moved", "freed")}
        put({"exit": OK, **found._asdict(), **piles, "kept": found.kept._asdict(), "waiting": found.waiting._asdict(),
             "shares": [share._asdict() for share in found.shares]})
        return
    for share in found.shares if dry or asked.verbose else []:
        click.echo(f"{size(share.bytes):>10}, alone {size(share.only):>10}  {share.by}")
    for word, said in (("freed", found.moved), ("deleted", found.freed)):
        for pile in said:
            click.echo(f"{size(pile.bytes):>10} {'would be ' if dry else ''}{word}: {pile.files} files, {pile.what}")
    say(f"{store}: {found.kept.files} objects are kept, {size(found.kept.bytes)}", asked.quiet)
    if found.waiting.files:
        until = "until the builds that run have ended" if found.builds else "for a day; --now deletes it at once"
        say(f"in its trash lie {size(found.waiting.bytes)} {until}", asked.quiet)
    for folder in found.gone:
        say(f"the project {folder} is not there any more: its locks keep nothing", asked.quiet)

