"""`playerstate dead-letters`: what no stage could take, and sending it again."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, leave

app = typer.Typer(help="Look at what no stage could take, and send it again.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The letter's id, from `list`.")]


@app.command("list")
def list_letters(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    after: Annotated[str, typer.Option(metavar="ID", show_default=False, help="Go on after this letter.")] = "",
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """List the dead letters in the order in which they were found.

    Example: playerstate dead-letters list --json
    """
    from playerstate.cli.letters import show_letters
    from playerstate.cli.opening import existing_node

    with existing_node(data) as node:
        show_letters(node.dead_letters(after=after, limit=limit), as_json=as_json)


@app.command()
def show(letter_id: LetterId, *, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Show a dead letter with all that it holds.

    Example: playerstate dead-letters show stream-0000000000000001-0000
    """
    from playerstate.cli.letters import find_letter, show_letter
    from playerstate.cli.opening import existing_node

    with existing_node(data) as node:
        show_letter(find_letter(node, letter_id), as_json=as_json)


@app.command("send-again")
def send_again(letter_id: LetterId, *, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Send the updates of a dead letter again, as the producer `replay:ID`, and wait for their outcomes.

    The letter goes once all of them are accepted. What was wrong with it has to be put right before, for example by
    a schema that knows its key.

    Example: playerstate dead-letters send-again stream-0000000000000001-0000
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.sending import send_letter_again

    with existing_node(data) as node:
        code = send_letter_again(node, letter_id, as_json=as_json)
    leave(code)
