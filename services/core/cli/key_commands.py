"""Commands for keys of the HTTP API: ``key create``, ``key list``, ``key revoke``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.core.cli.work_commands import AsJson

if TYPE_CHECKING:
    from services.core.ledger.engine import Ledger

key = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke keys of the HTTP API.",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    app.add_typer(key, name="key", rich_help_panel="API")


@key.command()
def create(
    label: Annotated[str, typer.Argument(help="Whose key it is, or what for.")],
    role: Annotated[str, typer.Option(help="What it is for: viewer, sender or operator.")],
    as_json: AsJson = False,
) -> None:
    """Make a key, and print it: it can't be shown again.

    A viewer sees states and counts. A sender also submits files, campaigns and mails, and reads what became of them. An
    operator reads all, steers campaigns, and handles dead letters.

    \b
    Examples:
      yard key create "shop" --role sender
      YARD_KEY=$(yard key create "on call" --role operator --json | jq -r .key)
    """
    import json

    from services.core.ledger.errors import InvalidSubmission
    from services.core.usecases.api_keys import Role, create_key

    if role not in list(Role):
        raise InvalidSubmission(f"There is no role {role!r}: choose {', '.join(Role)}.")
    made = create_key(_open_ledger(), Role(role), label)
    if as_json:
        typer.echo(json.dumps({"id": made.entry.id, "role": made.entry.role, "label": label, "key": made.secret}))
    else:
        typer.echo(made.secret)
        typer.echo(f"Keep it: it is not shown again. To take it back: yard key revoke {made.entry.id}", err=True)


@key.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the keys by the part of them that is not secret.

    \b
    Example:
      yard key list --json
    """
    import json
    from dataclasses import asdict

    from services.core.cli.tables import print_table
    from services.core.usecases.api_keys import list_keys

    keys = list_keys(_open_ledger())
    if as_json:
        typer.echo(json.dumps({"keys": [asdict(each) for each in keys]}, default=str, indent=2))
        return
    rows = [
        (each.id, each.role, each.label, *(f"{at:%F %T}" if at else "–" for at in (each.created_at, each.last_used_at)),
         "revoked" if each.revoked_at else "in force")
        for each in keys
    ]  # fmt: skip
    print_table(("id", "role", "label", "made", "last used", "state"), rows)


@key.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The id of the key, from `yard key list`.")],
) -> None:
    """Take a key back: from the next request on it opens nothing.

    \b
    Example:
      yard key revoke k3f9x2m7
    """
    from services.core.usecases.api_keys import revoke_key

    revoked = revoke_key(_open_ledger(), key_id)
    typer.echo(f"Key {revoked.id} ({revoked.label}) is revoked.")


def _open_ledger() -> Ledger:
    from services.core.bootstrap import ledger
    from services.core.ledger.migrations import require_current

    require_current(ledger())
    return ledger()
