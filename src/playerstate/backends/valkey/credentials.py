"""With what a connection logs in, where that changes: rotated passwords, tokens that are valid for minutes."""

from __future__ import annotations

from typing import Protocol


class Credentials(Protocol):
    """Asked at every new connection. May raise an error of this package's, which the call then ends with."""

    def __call__(self, *, refused: bool) -> tuple[str, str]:
        """User and password. `refused` says that the server has not taken what was given before: look anew."""
        ...
