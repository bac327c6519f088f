"""A doorbell between processes: a named pipe in the data folder. Ringing never waits, and rings may run together."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


class Doorbell:
    """One side's or the other's view of a named pipe, which is made if it is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writing: int | None = None
        if path.exists() and not path.is_fifo():  # a copied folder may have a plain file there
            path.unlink()
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)

    def ring(self) -> None:
        """Tell whoever listens that there is something to do. If nobody does, they will look when they start."""
        try:
            if self._writing is None:
                self._writing = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            os.write(self._writing, b".")
        except BlockingIOError:
            return  # the pipe is full of rings already
        except OSError:  # nobody listens, or no longer
            self.close()

    def listen(self) -> int:
        """A descriptor that becomes readable at every ring. It never ends, because it is held open for writing too."""
        listening = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        self._writing = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        return listening

    def close(self) -> None:
        """Stop ringing."""
        writing, self._writing = self._writing, None
        if writing is not None:
            os.close(writing)
