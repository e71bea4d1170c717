"""`zeus token`: the named tokens of a storage folder; a running node notices the changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from zeus.cli.output import JsonOption, note, print_json, print_table
from zeus.cli.settings import ConfigOption
from zeus.config import load
from zeus.tokens import Scope, add_token, list_tokens, remove_token

USUAL = (Scope.READ, Scope.SUBMIT)

StorageOption = Annotated[str | None, typer.Option("--storage", metavar="DIR", help="The folder of all data.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the token is called.", show_default=False)]

app = typer.Typer(help="Named tokens with scopes.", no_args_is_help=True)


@app.command("list")
def show(storage: StorageOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the tokens; their secrets are not shown."""
    tokens = list_tokens(_folder(storage, config))
    rows = [(each.name, sorted(each.scopes), _time_text(each.created)) for each in tokens]
    if as_json:
        print_json([{"name": name, "scopes": scopes, "created": created} for name, scopes, created in rows])
    else:
        print_table(("name", "scopes", "made"), [(name, " ".join(scopes), made) for name, scopes, made in rows])


@app.command()
def add(
    name: NameArgument,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it lets its bearer do; several may be given. [read, submit]")
    ] = None,
    storage: StorageOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a token and print its secret: it is kept nowhere, so this is the only time."""
    secret = add_token(_folder(storage, config), name, scope or USUAL)
    note(f'The token "{name}", shown this once:')
    print(secret)


@app.command()
def remove(name: NameArgument, storage: StorageOption = None, config: ConfigOption = None) -> None:
    """Remove a token: whoever has it is shut out at once. A new "owner" is made when a node next needs one."""
    remove_token(_folder(storage, config), name)
    note(f'The token "{name}" is removed.')


def _folder(storage: str | None, config: Path | None) -> Path:
    return load(config, os.environ, {"--storage": storage}).config.storage_path


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
