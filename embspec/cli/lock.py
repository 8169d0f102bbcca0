"""embspec lock"""
from __future__ import annotations

import click

from embspec.api import drive, verdict_exit
from embspec.cli.common import Asked, plan_lines, put, say, spec_options
from embspec.errors import OK
from embspec.plan.plan import CLEAN
from embspec.plan.words import plan_json, stages


@click.command("lock")
@spec_options
@click.option("--check", is_flag=True, help="Is the lock what spec and inputs say? Runs nothing.")
@click.option("--merge", is_flag=True, help="Merge the two sides that git left in it; then run `embspec build`.")
@click.option("--upgrade", is_flag=True, help="List what it keeps until asked; with FIELD, take that anew.")
@click.option("--rekey", is_flag=True, help="Give today's keys to a lock of an older key scheme.")
@click.option("--driver", nargs=3, metavar="BASE OURS THEIRS", help="What git calls: embspec lock --driver %O %A %B")
def command(
    asked: Asked, check: bool, merge: bool, upgrade: bool, rekey: bool, driver: tuple[str, str, str] | None
) -> None:
    """Look after the lock: check it, merge it, take anew what it keeps.

    --check: 0, 11 naming the fields, 20 or 21 where the locked verdict is red. No option runs a stage.

    Example: embspec lock --upgrade numerics.threads specs/handbook.yaml
    """
    words = asked.words(1 if upgrade else 0, "a field and a spec" if upgrade else "a spec")
    if sum((check, merge, upgrade, rekey, driver is not None)) != 1:
        raise click.UsageError("lock needs one of --check, --merge, --upgrade, --rekey and --driver")
    if driver:
        drive(*driver)
    elif upgrade:
        _upgrade(asked, words[0]) if words else _upgrades(asked)
    else:
        code = _check(asked) if check else _merge(asked) if merge else _rekey(asked)
        raise click.exceptions.Exit(code)


def _check(asked: Asked) -> int:
    of = asked.project()
    now = of.check_lock()
    blocks = of.lock.lock.blocks
    code = verdict_exit(now)
    if asked.json:
        put(plan_json(of.at, now, blocks, code))
    else:
        if asked.verbose:
            for line in plan_lines(now, verbose=True):
                click.echo(line)
        said = "is what spec and inputs say" + ("" if code == OK else f"; the verdict is {now.verdict}")
        say(f"{of.at.shown(of.at.lock)} {said}", asked.quiet and code == OK)
    return code


def _merge(asked: Asked) -> int:
    """Which side each stage kept; git still has to be told that the conflict is over."""
    of = asked.project()
    merged, shown = of.upkeep.merge(), of.at.shown(of.at.lock)
    if asked.json:
        kept = [{"name": name, "kept": word} for name, word in (merged.kept.items() if merged else ())]
        put({"exit": OK, "lock": shown, "stages": kept, "notes": list(merged.notes) if merged else []})
    elif merged is None:
        say(f"{shown} has no conflict: there is nothing to merge", asked.quiet)
    else:
        for name, word in merged.kept.items() if not asked.quiet else ():
            click.echo(f"{name:<16} {word}")
        for note in merged.notes:
            say(note)
        say(f"{shown} is merged; run `embspec build`, then `git add {shown}`", asked.quiet)
    return OK


def _rekey(asked: Asked) -> int:
    of = asked.project()
    found, shown = of.upkeep.rekey(), of.at.shown(of.at.lock)
    if asked.json:
        put({"exit": OK, "lock": shown, "rekeyed": list(found.moved), "already": list(found.already)})
    else:
        for name in found.moved if asked.verbose else ():
            click.echo(name)
        say(f"{shown}: {stages(len(found.moved))} rekeyed, {len(found.already)} had today's key already", asked.quiet)
    return OK


def _upgrades(asked: Asked) -> None:
    """What could be asked for; what would come out the same is said too."""
    of = asked.project()
    found = of.upkeep.upgrades()
    if asked.json:
        put({"exit": OK, "lock": of.at.shown(of.at.lock),
             "fields": [{**one.reason._asdict(), "stages": list(one.stages)} for one in found]})
        return
    for one in found:
        if one.newer:
            click.echo(f"{one.reason}  ({', '.join(one.stages)})")
        elif not asked.quiet:
            click.echo(f"{one.field}: {one.reason.then}, nothing newer is known")


def _upgrade(asked: Asked, field: str) -> None:
    of = asked.project()
    now, shown = of.upkeep.upgrade(field), of.at.shown(of.at.lock)
    if asked.json:
        put(plan_json(of.at, now or of.plan(), of.lock.lock.blocks, OK))
    elif now is None:
        say(f"{shown} stays as it is: nothing newer is known of {field}", asked.quiet)
    else:
        work = now._replace(steps=tuple(step for step in now.steps if step.state != CLEAN))
        for line in plan_lines(work, asked.verbose) if not asked.quiet else ():
            click.echo(line)
        say(f"{shown}: {field} is taken anew by the next `embspec build`", asked.quiet)
