"""Getting in: certificates that are verified, passwords that change, and what is said when it does not work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from conformance.cache_base import everybody, key, view
from playerstate.backends.valkey.cache import ValkeyCache
from playerstate.backends.valkey.connections import Connections
from playerstate.errors import Unavailable
from playerstate.ports.cache import Put
from valkey_tls import ADMIN_PASSWORD, Authority, TlsServer, running_tls_server
from waiting import wait_until

SECRET, NEW_SECRET = "s3cret/?#@:", "an0ther"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[TlsServer]:
    folder = tmp_path_factory.mktemp("tls") / "server"
    with running_tls_server(folder, authority, authority.certify("localhost")) as server:
        yield server


def url_of(
    server: TlsServer,
    user: str = "default",
    password: str = ADMIN_PASSWORD,
    *,
    host: str = "localhost",
    ca: Path | None,
) -> str:
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"rediss://{login}{host}:{server.port}" + (f"?ssl_ca_certs={quote(str(ca))}" if ca else "")


@pytest.fixture
def admin(server: TlsServer) -> Iterator[Connections]:
    """Whoever gives out passwords. There is a user `game`, whose password is `SECRET`."""
    admin = Connections(url_of(server, ca=server.authority.file))
    set_password(admin, SECRET)
    yield admin
    admin.close()


def set_password(admin: Connections, password: str) -> None:
    admin.call("ACL", "SETUSER", "game", "on", "resetpass", f">{password}", "~*", "&*", "+@all")


def chain(error: BaseException | None) -> Iterator[str]:
    """What an error and its causes say."""
    while error is not None:
        yield repr(error)
        error = error.__cause__ or error.__context__


def refusal(attempt: Callable[[], object]) -> str:
    """What is said when an attempt fails, in which no secret may stand."""
    with pytest.raises(Unavailable) as caught:
        attempt()
    said = " ".join(chain(caught.value))
    for secret in (SECRET, NEW_SECRET, ADMIN_PASSWORD, quote(SECRET, safe="")):
        assert secret not in said
    return str(caught.value)


@pytest.mark.usefixtures("admin")
def test_all_is_well(server: TlsServer) -> None:
    """With the right authority, user and password everything works, watching too."""
    with closing(ValkeyCache.open(url_of(server, "game", SECRET, ca=server.authority.file))) as cache:
        watch = cache.watch("anna", timeout_s=10)
        cache.clear()
        assert cache.put([view(1)]) == [Put.WRITTEN]
        assert cache.get(key()) == next(watch) == view(1)


@pytest.mark.usefixtures("admin")
def test_certificates_are_verified(server: TlsServer, authority: Authority, tmp_path: Path) -> None:
    """One of an authority that is not trusted, or for another host, or out of date, is refused, and it is said why."""

    def said(server: TlsServer, ca: Path | None, host: str = "localhost") -> str:
        with closing(ValkeyCache.open(url_of(server, "game", SECRET, host=host, ca=ca))) as cache:
            return refusal(lambda: cache.get(key()))

    assert "certificate verify failed" in said(server, None)
    assert "certificate verify failed" in said(server, Authority(tmp_path, "another").file)
    assert "IP address mismatch" in said(server, authority.file, host="127.0.0.1")
    outdated = authority.certify("localhost", timedelta(hours=-1))
    with running_tls_server(tmp_path / "outdated", authority, outdated) as old:
        assert "certificate has expired" in said(old, authority.file)


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    ("user", "password", "why"),
    [
        ("game", NEW_SECRET, "invalid username-password"),
        ("nobody", SECRET, "invalid username"),
        ("", "", "Authentication"),
    ],
)
def test_wrong_password(server: TlsServer, user: str, password: str, why: str) -> None:
    """A wrong password, an unknown user or none is `Unavailable`, and said to be that."""
    with closing(ValkeyCache.open(url_of(server, user, password, ca=server.authority.file))) as cache:
        for attempt in (lambda: cache.get(key()), lambda: cache.put([view()]), lambda: cache.watch("a", timeout_s=1)):
            said = refusal(attempt)
            assert "refuses" in said
            assert why in said


class Vault:
    """Has a password that changes, and reads it anew only when it is told that it was refused."""

    def __init__(self, kept: str) -> None:
        self.right = self.kept = kept
        self.asked: list[bool] = []

    def __call__(self, *, refused: bool) -> tuple[str, str]:
        self.asked.append(refused)
        if refused:
            self.kept = self.right
        return "game", self.kept


def test_a_password_changes(server: TlsServer, admin: Connections) -> None:
    """Connections that are open go on; a new one is refused once, and then has the new password."""
    vault = Vault(SECRET)
    url = url_of(server, "somebody else", "wrong", ca=server.authority.file)
    with closing(ValkeyCache.open(url, credentials=vault)) as cache:
        cache.clear()
        assert cache.put([view(1)]) == [Put.WRITTEN]
        set_password(admin, NEW_SECRET)
        vault.right = NEW_SECRET
        assert cache.put([view(2)]) == [Put.WRITTEN]
        assert vault.asked == [False]
        admin.call("CLIENT", "KILL", "USER", "game")
        assert cache.put([view(3)]) == [Put.WRITTEN]
        assert vault.asked == [False, False, True]
        admin.call("CLIENT", "KILL", "USER", "game")
        assert cache.get(key()) == view(3)
        assert vault.asked == [False, False, True, False]


def test_a_password_that_stays_wrong(server: TlsServer, admin: Connections) -> None:
    """The vault is asked twice, and no more, for each connection."""
    vault = Vault(NEW_SECRET)
    with closing(ValkeyCache.open(url_of(server, "", ca=server.authority.file), credentials=vault)) as cache:
        assert "refuses" in refusal(lambda: cache.get(key()))
        assert vault.asked == [False, True]
        set_password(admin, NEW_SECRET)
        assert "refuses" not in str(cache.versions([key("nobody")]))


def test_a_vault_that_is_away(server: TlsServer) -> None:
    """What it says is what the caller hears."""

    def away(*, refused: bool) -> tuple[str, str]:
        raise Unavailable(f"the vault is away {refused}")

    with closing(ValkeyCache.open(url_of(server, "", ca=server.authority.file), credentials=away)) as cache:
        assert refusal(lambda: cache.get(key())) == "the vault is away False"


@pytest.mark.usefixtures("admin")
def test_connections_are_renewed(server: TlsServer) -> None:
    """One that logged in too long ago, with credentials that change, is not used any more."""
    url = url_of(server, "", ca=server.authority.file)
    lasting, fleeting = (Connections(url, credentials=Vault(SECRET), renewed_after_s=after) for after in (60, -1))
    assert lasting.call("CLIENT", "ID") == lasting.call("CLIENT", "ID")
    assert fleeting.call("CLIENT", "ID") != fleeting.call("CLIENT", "ID")
    for connections in (lasting, fleeting):
        connections.close()


def test_a_cluster(authority: Authority, tmp_path: Path) -> None:
    """Its nodes are spoken to as its URL says, by the names in their certificates."""
    settings = {
        "cluster-enabled": "yes",
        "tls-cluster": "yes",
        "cluster-announce-hostname": "localhost",
        "cluster-preferred-endpoint-type": "hostname",
    }
    with running_tls_server(tmp_path / "node", authority, authority.certify("localhost"), **settings) as node:
        url = url_of(node, ca=authority.file)
        with closing(Connections(url)) as admin:
            admin.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: b"cluster_state:ok" in admin.call("CLUSTER", "INFO"))
            set_password(admin, SECRET)
        url = url_of(node, "", ca=authority.file).replace("rediss://", "rediss+cluster://")
        with closing(ValkeyCache.open(url, credentials=Vault(SECRET))) as cache:
            views = [view(player_id=f"player {n}") for n in range(20)]
            watch = cache.watch("player 7", timeout_s=10)
            assert cache.put(views) == [Put.WRITTEN] * 20
            assert next(watch) == views[7]
            assert everybody(cache) == {one.player_id for one in views}
        with closing(ValkeyCache.open(url, credentials=Vault(NEW_SECRET))) as cache:
            assert "refuses" in refusal(lambda: cache.put(views))
            assert "refuses" in refusal(lambda: cache.watch("anna", timeout_s=1))
