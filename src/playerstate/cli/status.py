"""`playerstate status`, `alarms` and `metrics`: how the node is that runs on a folder."""

from __future__ import annotations

from typing import Annotated

import typer

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, ExitCode, leave


def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Show it anew every second, until Ctrl-C.")] = False,
    data: Data = DEFAULT_DATA,
    as_json: AsJson = False,
) -> None:
    """Show how the running node is: alarms, stages, outcomes, how fresh and how right the cache is, the other regions.

    Example: playerstate status --watch
    """
    from playerstate.cli.opening import running_node
    from playerstate.cli.status_view import show_status, watch_status

    with running_node(data) as node:
        if watch:
            watch_status(node.stats, as_json=as_json)
        else:
            show_status(node.stats(), as_json=as_json)


def alarms(*, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Show the alarms that fire on the running node, and what to do about each. The exit code is 1 if there are any.

    Example: playerstate alarms --data ./data
    """
    from playerstate.cli.opening import running_node
    from playerstate.cli.status_view import show_alarms

    with running_node(data) as node:
        firing = node.alarms()
    show_alarms(firing, as_json=as_json)
    leave(ExitCode.REFUSED if firing else ExitCode.DONE)


def metrics(*, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Print the metrics of the running node, in the text form of Prometheus.

    Example: playerstate metrics --data ./data
    """
    from playerstate.cli.opening import running_node
    from playerstate.cli.status_view import show_metrics

    with running_node(data) as node:
        show_metrics(node.stats(), as_json=as_json)
