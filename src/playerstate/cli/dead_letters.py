"""`playerstate dead-letters`: what no stage could take; sending it again, and discarding it."""

from __future__ import annotations

from typing import Annotated

import click
import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, ExitCode, Url, leave

app = typer.Typer(help="Look at what no stage could take, send it again, or discard it.", no_args_is_help=True)

LetterId = Annotated[str, typer.Argument(metavar="ID", show_default=False, help="The letter's id, from `list`.")]
LetterIds = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", show_default=False, help="The letters' ids, from `list`.")
]
OfStage = Annotated[str, typer.Option("--stage", metavar="STAGE", show_default=False, help="Only those of a stage.")]
OfCode = Annotated[str, typer.Option("--code", metavar="CODE", show_default=False, help="Only those with a code.")]
OfPlayer = Annotated[
    str, typer.Option("--player", metavar="PLAYER", show_default=False, help="Only those of updates of a player.")
]
OlderThan = Annotated[
    str,
    typer.Option(
        "--older-than", metavar="AGE", show_default=False, help="Only those found so long ago: 15m, 36h, 14d."
    ),
]
All = Annotated[bool, typer.Option("--all", help="All letters, or all that the other options leave.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_letters(
    *,
    stage: OfStage = "",
    code: OfCode = "",
    player: OfPlayer = "",
    older_than: OlderThan = "",
    gone: Annotated[
        bool, typer.Option("--gone", help="Those that are there no more, and what became of them, as they went.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    after: Annotated[
        str, typer.Option(metavar="ID", show_default=False, help="Go on after this letter; with --gone, its number.")
    ] = "",
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the dead letters, how old they are, and how many there are.

    Example: playerstate dead-letters list --stage apply --older-than 1h
    """
    from playerstate.cli.letters import letter_filter, show_gone, show_letters
    from playerstate.cli.opening import existing_node

    where = letter_filter(stage, code, player, older_than)
    if gone and after and not after.isdigit():
        raise click.UsageError("--after takes a number with --gone.")
    with existing_node(data, url) as node:
        if gone:
            show_gone(node, node.gone_letters(after=int(after or 0), limit=limit, where=where), as_json=as_json)
        else:
            show_letters(node.dead_letters(after=after, limit=limit, where=where), node.stats(), as_json=as_json)


@app.command()
def show(letter_id: LetterId, *, data: Data = DEFAULT_DATA, url: Url = None, as_json: AsJson = False) -> None:
    """Show a dead letter with all that it holds, or what became of one that has gone.

    Example: playerstate dead-letters show stream-0000000000000001-0000
    """
    from playerstate.cli.letters import find_letter, show_letter, show_what_became
    from playerstate.cli.opening import existing_node

    with existing_node(data, url) as node:
        letter = find_letter(node, letter_id)
        if letter is not None:
            show_letter(letter, as_json=as_json)
        else:
            show_what_became(node, letter_id, as_json=as_json)


@app.command("send-again")
def send_again(
    letter_ids: LetterIds = None,
    *,
    every: All = False,
    stage: OfStage = "",
    code: OfCode = "",
    player: OfPlayer = "",
    older_than: OlderThan = "",
    yes: Yes = False,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Send the updates of dead letters again, as the producer `replay:ID:HASH`, and wait for their outcomes.

    A letter goes once all of it is accepted. What was wrong with it has to be put right before, for example by a schema
    that knows its key. It may be repeated after any interruption, without harm.

    Example: playerstate dead-letters send-again --all --stage apply --code unknown_key
    """
    from playerstate.cli.letters import letter_filter
    from playerstate.cli.letters_at_once import chosen, send_letters_again
    from playerstate.cli.opening import existing_node

    where = letter_filter(stage, code, player, older_than)
    _check_choice(letter_ids, every=every, filtered=bool(stage or code or player or older_than))
    _check_asking(every=every, yes=yes, as_json=as_json)
    with existing_node(data, url) as node:
        ids = chosen(node, letter_ids, where, "Send {} again?", ask=every and not yes)
        exit_code = ExitCode.REFUSED
        if ids is not None:
            exit_code = send_letters_again(node, ids, one=not every and len(ids) == 1, as_json=as_json)
    leave(exit_code)


@app.command()
def discard(
    letter_ids: LetterIds = None,
    *,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", show_default=False, help="Why; the record of the letters keeps it.")
    ],
    every: All = False,
    stage: OfStage = "",
    code: OfCode = "",
    player: OfPlayer = "",
    older_than: OlderThan = "",
    yes: Yes = False,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Discard dead letters for good. What they held goes; that they were there, and why they went, stays on record.

    Example: playerstate dead-letters discard stream-0000000000000001-0000 --reason "sent by a broken test server"
    """
    from playerstate.cli.letters import letter_filter
    from playerstate.cli.letters_at_once import chosen, discard_letters
    from playerstate.cli.opening import existing_node
    from playerstate.core.letters import check_discard_reason

    where = letter_filter(stage, code, player, older_than)
    _check_choice(letter_ids, every=every, filtered=bool(stage or code or player or older_than))
    _check_asking(every=every, yes=yes, as_json=as_json)
    check_discard_reason(reason)
    with existing_node(data, url) as node:
        ids = chosen(node, letter_ids, where, "Discard {}? It cannot be undone.", ask=every and not yes)
        exit_code = ExitCode.REFUSED
        if ids is not None:
            exit_code = discard_letters(node, ids, reason, one=not every and len(ids) == 1, as_json=as_json)
    leave(exit_code)


def _check_choice(letter_ids: list[str] | None, *, every: bool, filtered: bool) -> None:
    if bool(letter_ids) == every:
        raise click.UsageError("Name letters, or give --all.")
    if filtered and not every:
        raise click.UsageError("--stage, --code, --player and --older-than go with --all.")


def _check_asking(*, every: bool, yes: bool, as_json: bool) -> None:
    if every and as_json and not yes:
        raise click.UsageError("With --json nobody can be asked; give --yes.")
