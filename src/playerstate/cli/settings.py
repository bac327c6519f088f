"""`playerstate settings`: what is set for a node, and what has its default."""

from __future__ import annotations

from playerstate.cli.common import DEFAULT_DATA, AsJson, Data, ExitCode, leave


def settings(*, data: Data = DEFAULT_DATA, as_json: AsJson = False) -> None:
    """Show the settings that are in force, and which of them were set in `settings.toml`.

    Example: playerstate settings --json
    """
    from playerstate.cli.opening import check_data_folder
    from playerstate.cli.settings_tables import show_settings
    from playerstate.client import find_node
    from playerstate.settings import SettingsFile

    check_data_folder(data)
    node = find_node(data)
    if node is None:
        told = SettingsFile(data).told()
    else:
        with node:
            told = node.settings()
    show_settings(told, as_json=as_json)
    leave(ExitCode.REFUSED if told.problem else ExitCode.DONE)
