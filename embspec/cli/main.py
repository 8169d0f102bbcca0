"""The commands, one literal table; each is imported when it is called."""
from __future__ import annotations

import importlib
import os
import sys
import tempfile
import traceback

import click

import embspec
from embspec.cli.common import print_error
from embspec.errors import BUG, EXITS, STOPPED, USAGE, EmbspecError, Problem

COMMANDS: dict[str, str] = {
    "init": "write a spec of what is in a folder, and say what is missing",
    "check": "validate spec and inputs without building",
    "plan": "what would run, be reused or stay, and because of which field",
    "build": "build what changed, update the lock, materialise out/",
    "status": "is everything up to date, and what does the lock say",
    "explain": "why a stage is stale, or why it is not; why a document is a negative",
    "diff": "two locks: parameters, data, metrics",
    "log": "the history of the model in git: commit, model, metrics, verdicts",
    "bisect": "the commit that lost a metric, and the fields it changed",
    "reproduce": "build a revision again in a store of its own, and compare the bytes",
    "get": "a past or present model, ONNX, index or report into a folder",
    "pairs": "the pairs in another tool's format",
    "verify": "a model or index folder against its manifest and the lock",
    "negatives": "the mined examples, in the forms that losses and other trainers read",
    "search": "ask the index, with the untuned base beside it",
    "lock": "the lock's own upkeep: --check, --merge, --upgrade, --rekey",
    "gc": "free what no lock reaches",
    "fsck": "read the whole store again, and repair what is bad",
    "schema": "the JSON Schema of the spec, the lock, the report or the output",
    "doctor": "interpreter, packages, numerics, git, store",
}


class Table(click.Group):
    """A group that imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, from its own file."""
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"embspec.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing what it names."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes, which never change meaning."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXITS.items()])


@click.group(cls=Table, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(embspec.__version__, prog_name="embspec", message="%(prog)s %(version)s")
def group() -> None:
    """Build fine-tuned embedding models from a spec in git, with a lock that brings any past model back.

    Example: embspec build specs/handbook.yaml
    """


def run() -> None:
    """Run a command; whatever happens becomes an exit code and a sentence."""
    as_json = "--json" in sys.argv
    try:
        code = group(standalone_mode=False) or 0  # click gives back what a command raised as Exit
    except EmbspecError as error:
        code = print_error(error.problems, error.exit, as_json)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        code = USAGE
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        fix = f"see `{where.command_path} --help`" if where else "see `embspec --help`"
        code = print_error([Problem("usage.arguments", error.format_message(), fix=fix)], USAGE, as_json)
    except (KeyboardInterrupt, click.exceptions.Abort):
        stopped = Problem("stopped.signal", "stopped; what was finished is kept", fix="run the same command to go on")
        code = print_error([stopped], STOPPED, as_json)
    except Exception as error:
        code = print_error([_bug(error)], BUG, as_json)
    sys.exit(code)


def _bug(error: Exception) -> Problem:
    """A failure that no user caused: the traceback goes into a file, not over the terminal."""
    with tempfile.NamedTemporaryFile("w", prefix="embspec-bug-", suffix=".log", delete=False, encoding="utf-8") as file:
        file.write(f"embspec {embspec.__version__}, python {sys.version}\n{traceback.format_exc()}")
    return Problem("bug.internal", f"embspec failed inside: {type(error).__name__}: {error}",
                   fix=f"please report it with {os.path.relpath(file.name)} at the project's issue tracker")
