"""`playerstate verify` and `findings`: whether what should agree does, and where it did not."""

from __future__ import annotations

from typing import Annotated

import click
import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, Url, leave


def verify(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Compare everything, and not a sample.")] = False,
    sample: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=1_000_000, show_default=False, help="How many random keys.  [default: 1000]"
        ),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair/--no-repair", help="Put right what is wrong, or only tell.")] = True,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Compare the store with the cache, the graph and the other regions, once, and put right what differs.

    A node that runs does so all the time; this is for whoever wants to know now. The exit code is 0 if everything
    agreed, and 1 if something did not, also if it was put right.

    \b
    Examples:
      playerstate verify
      playerstate verify --all --no-repair --json
    """  # noqa: D301 - \b keeps the lines of the examples
    from playerstate.cli.opening import existing_node
    from playerstate.cli.verifying import verify_all, verify_sample

    if everything and sample is not None:
        raise click.UsageError("Give --all or --sample, not both.")
    with existing_node(data, url) as node:
        if everything:
            code = verify_all(node, repair=repair, as_json=as_json)
        else:
            code = verify_sample(node, sample or 1000, repair=repair, as_json=as_json)
    leave(code)


def findings(
    player_id: Annotated[
        str | None, typer.Argument(metavar="[PLAYER]", show_default=False, help="Only those about this player.")
    ] = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the latest first.")] = 20,
    before: Annotated[str | None, typer.Option(metavar="ID", show_default=False, help="Go on before this one.")] = None,
    data: Data = DEFAULT_DATA,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List what verification has found, and what became of it.

    Example: playerstate findings --limit 50
    """
    from playerstate.cli.opening import existing_node
    from playerstate.cli.verifying import show_findings

    with existing_node(data, url) as node:
        show_findings(node.findings(player_id, before=before, limit=limit), as_json=as_json)
