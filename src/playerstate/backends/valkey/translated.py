"""Errors of the driver and the server in our terms."""

from __future__ import annotations

import re

import redis

from playerstate.errors import Unavailable


class WrongType(Unavailable):
    """A key is there, and is of another type than the command is for."""


def unavailable(error: Exception) -> Unavailable:
    """An error of the driver in our terms, without what it quotes."""
    if isinstance(error, redis.AuthenticationError):
        return Unavailable(f"The cache refuses the user and password: {words(error)}")
    kind = WrongType if str(error).startswith("WRONGTYPE") else Unavailable
    return kind(f"The cache does not answer as it should: {words(error)}")


def words(error: Exception) -> str:
    """What the server or the driver says, but for what it quotes: errors are logged, and what players have is not."""
    return re.sub(r"(['`]).*\1", "...", str(error))
