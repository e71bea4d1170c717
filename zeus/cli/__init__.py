"""The command line: its commands, and how errors become exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zeus import __version__
from zeus.cli import demo, doctor, engines, jobs, models, nodes, serve, settings, submit, tests, token, top
from zeus.errors import BadInput, ConfigError, ZeusError

FAILED, WRONG_USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

app = typer.Typer(
    name="zeus",
    help="A self-hosted node for rendering, transcoding and AI video generation.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.command)
app.command("demo")(demo.command)
app.command("submit")(submit.command)
app.add_typer(jobs.app, name="jobs")
app.command("top")(top.command)
app.add_typer(engines.app, name="engines")
app.add_typer(nodes.app, name="nodes")
app.add_typer(models.app, name="models")
app.command("doctor")(doctor.command)
app.add_typer(token.app, name="token")
app.command("config")(settings.command)
app.command("test", add_help_option=False, context_settings=tests.PASS_ON)(tests.command)


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 3 server unreachable, 130 interrupted."""
    try:
        app(prog_name="zeus")
    except ZeusError as error:
        print(f"zeus: {error.message}", file=sys.stderr)
        sys.exit(_exit_code(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _exit_code(error: ZeusError) -> int:
    if error.code == "server_unreachable":
        return UNREACHABLE
    return WRONG_USAGE if isinstance(error, BadInput | ConfigError) else FAILED


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"zeus {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
