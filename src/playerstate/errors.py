"""What can go wrong, sorted by what the caller may do about it.

    PlayerStateError
    ├── InvalidUpdate          the update can never take effect: refuse it, or dead-letter it
    ├── SearchTooWide          a question to the graph met more than it may: ask for less
    ├── NotNow                 definite: nothing was done, the same call may be made again
    │   ├── Unavailable        a part does not answer
    │   └── SlowDown           more than can be handled; `retry_after_s` says when
    ├── OutcomeUnknown         indefinite: repeat only with the same producer and sequence
    ├── NotOffered             the backend in use cannot do this by its nature: another one can
    ├── BackupRefused          no backup can be made so, or what is there is no whole one
    ├── PricesRefused          nothing can be worked out from these prices
    ├── PackagingFailed        a Lambda package cannot be made here, or not now
    ├── InvariantViolated      a promise is broken: stop, and tell a person
    └── StartRefused           the node cannot run on this folder or with these settings
        ├── SchemaRefused      the game's schema is wrong, or does not fit the stored state
        ├── RegionRefused      a deployment's regions cannot be changed like that
        └── FolderInUse        another node runs on the folder

Drivers' own errors are translated at the edge, `from exc`; they never reach a stage.
"""

from __future__ import annotations


class PlayerStateError(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidUpdate(PlayerStateError):
    """The update is malformed or impossible; sending it again cannot help.

    `code` is stable and meant for programs, `where` is a path such as `$.ops[0].n`, and the text says what is
    wrong in words that are the same on every way in; it names the path unless that is the whole, `$`.
    """

    def __init__(self, message: str, *, code: str = "invalid", where: str = "$") -> None:
        super().__init__(message if where == "$" else f"{message} - at `{where}`")
        self.message = message
        self.code = code
        self.where = where

    def within(self, outer: str) -> InvalidUpdate:
        """The same error, where `where` is a path within `outer`."""
        return InvalidUpdate(self.message, code=self.code, where=outer + self.where)


class SearchTooWide(PlayerStateError):
    """A search in the graph met more vertices than it may; fewer edges, or another start, may do."""


class NotNow(PlayerStateError):
    """Nothing was done; the same call may be made again."""


class Unavailable(NotNow):
    """A part that is needed does not answer. Nothing was done."""


class SlowDown(NotNow):
    """More is asked than can be handled. Nothing was done; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(PlayerStateError):
    """It cannot be known whether the update was accepted.

    Sending the same producer and sequence to the same region again is always safe; anything else may take effect
    twice.
    """


class NotOffered(PlayerStateError):
    """The backend in use cannot do this, by the nature of what it stands on; trying again is no use."""


class BackupRefused(PlayerStateError):
    """A backup cannot be made from there or to there, or what is there is not, or no longer, a whole backup."""


class PricesRefused(PlayerStateError):
    """A file of prices cannot be read, or does not have them all."""


class PackagingFailed(PlayerStateError):
    """A Lambda package cannot be made: pip is not there or could not fetch, or nothing can be written."""


class InvariantViolated(PlayerStateError):
    """Something that must never be was seen. The process should stop, and a person should look."""


class StartRefused(PlayerStateError):
    """The node cannot run on this folder or with these settings."""


class SchemaRefused(StartRefused):
    """The game's schema is wrong, or does not fit the state that is stored already."""


class RegionRefused(StartRefused):
    """A deployment's regions cannot be changed like that."""


class FolderInUse(StartRefused):
    """Another node runs on the folder."""


def described(error: BaseException) -> str:
    """An error as it may stand in a log: what it is, and what it says only where that holds nothing of players.

    The words of an `InvalidUpdate` may quote what a client sent, those of other packages' errors anything; those of
    the others here name parts, stages, regions, keys of the schema, and never a player.
    """
    if isinstance(error, InvalidUpdate):
        return f"InvalidUpdate ({error.code})"
    return str(error) if isinstance(error, PlayerStateError) else type(error).__name__
