"""`playerstate set` and `undo`: support puts right what should not be, with a reason that the history keeps."""

from __future__ import annotations

from typing import Annotated

import click
import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, PlayerId, Url, leave

Key = Annotated[str, typer.Argument(metavar="KEY", show_default=False, help="A key of the schema.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", show_default=False, help="Why; the history keeps it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def set_value(
    player_id: PlayerId,
    state_key: Key,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE",
            show_default=False,
            help="What `get` is to show. JSON; what does not look like JSON is taken as text.",
        ),
    ],
    *,
    reason: Reason,
    yes: Yes = False,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Put a key to a value, whatever its type.

    It is an update like any other, worked out from what there is; if that changes meanwhile it is worked out anew.

    Example: playerstate set ada gold 500 --reason "lost in the outage, ticket 4711"
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.putting_right import put_right
    from playerstate.cli.update_arguments import target_from

    _check_can_ask(yes=yes, as_json=as_json)
    with existing_node(data, url) as node:
        target = target_from(node.schema, state_key, value)
        code = put_right(
            lambda dry_run: node.set_value(player_id, state_key, target, reason=reason, dry_run=dry_run),
            f"Set {player_id}/{state_key}?",
            ask=not yes,
            as_json=as_json,
        )
    leave(code)


def undo(
    player_id: PlayerId,
    state_key: Key,
    update: Annotated[
        str,
        typer.Argument(
            metavar="PRODUCER#SEQUENCE", show_default=False, help="The update, as the history of the key names it."
        ),
    ],
    *,
    reason: Reason,
    yes: Yes = False,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Take back all that an update did, of every key and player that it changed, or say why that cannot be.

    PLAYER and KEY are those of the update's first operation. It is an update like any other, and can itself be undone.

    Example: playerstate undo ada gold shop-7f3a#12 --reason "sold by mistake, ticket 4711"
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.putting_right import put_right
    from playerstate.core.model import Identity

    _check_can_ask(yes=yes, as_json=as_json)
    producer, _, number = update.rpartition("#")
    if not producer or not (number.isascii() and number.isdecimal()):
        raise click.UsageError(f"Expected PRODUCER#SEQUENCE, as `history` shows it, got {update!r}.")
    identity = Identity(producer, int(number), player_id, state_key)
    with existing_node(data, url) as node:
        code = put_right(
            lambda dry_run: node.undo(identity, reason=reason, dry_run=dry_run),
            f"Undo {update} of {player_id}/{state_key}?",
            ask=not yes,
            as_json=as_json,
        )
    leave(code)


def _check_can_ask(*, yes: bool, as_json: bool) -> None:
    if as_json and not yes:
        raise click.UsageError("With --json nobody can be asked; give --yes.")
