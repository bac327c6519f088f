from collections.abc import Iterator

import pytest

from playerstate.backends.valkey.server import ValkeyServer


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey server that all tests share: each clears it, or speaks of players of its own."""
    server = ValkeyServer(tmp_path_factory.mktemp("valkey"), maxmemory_mb=64, marker="tests")
    server.start()
    yield server.url
    server.stop()
