"""The endpoint for monitoring: what it serves, and that nobody who calls it holds up a node."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from playerstate.core.answers import Alarm, Severity, Stats
from playerstate.errors import StartRefused, Unavailable
from playerstate.runtime import metrics_server
from playerstate.runtime.metrics_server import MetricsServer

LIMIT_S = 20.0
ALARM = Alarm("dead_letters", Severity.WARNING, 1, 2.0, 1.0, "2 dead letters wait", "look")


class Node:
    """A node of which only the figures matter."""

    def __init__(self, region: str, tell: Callable[[], None] = lambda: None) -> None:
        self.alive = True
        self.rows = 0
        self._region = region
        self._tell = tell

    def stats(self) -> Stats:
        self._tell()
        return Stats(self._region, {}, {}, {}, 0, self.rows, alarms=[ALARM])


@pytest.fixture
def nodes() -> list[Node]:
    return [Node("eu"), Node("us")]


@pytest.fixture
def server(nodes: list[Node]) -> Iterator[MetricsServer]:
    with MetricsServer(0, nodes) as running:
        yield running


def get(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str]:
    """The status and the text of an answer."""
    asked = urllib.request.Request(f"{server.url}{path}", method=method)
    try:
        with urllib.request.urlopen(asked, timeout=LIMIT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


def test_metrics_are_those_of_the_moment(server: MetricsServer, nodes: list[Node]) -> None:
    """Of all regions, by a label; asked anew at every scrape, so that nothing is counted twice."""
    for rows in (3, 4):
        nodes[1].rows = rows
        status, text = get(server, "/metrics")
        assert status == 200
        assert 'playerstate_rows_written_total{region="eu"} 0.0' in text
        assert f'playerstate_rows_written_total{{region="us"}} {rows}.0' in text


def test_alarms_and_health(server: MetricsServer, nodes: list[Node]) -> None:
    """Alarms by region with all that is known of them; and whether everything still runs."""
    status, text = get(server, "/alarms")
    told = json.loads(text)["regions"]
    assert (status, [one["region"] for one in told]) == (200, ["eu", "us"])
    assert told[0]["alarms"][0] | {"name": "dead_letters", "value": 2.0, "remedy": "look"} == told[0]["alarms"][0]
    assert get(server, "/health") == (200, '{"alive":true}\n')
    nodes[0].alive = False
    assert get(server, "/health") == (503, '{"alive":false}\n')


def test_what_is_not_there(server: MetricsServer) -> None:
    """Other pages and other methods are refused; it only ever reads."""
    assert get(server, "/")[0] == 404
    assert get(server, "/metrics", "POST")[0] == 405
    assert get(server, "/metrics", "DELETE")[0] == 405
    assert get(server, "/alarms", "HEAD")[0] == 405


@pytest.mark.parametrize(("error", "status"), [(Unavailable("closed"), 503), (ZeroDivisionError("a bug"), 500)])
def test_a_node_that_cannot_tell(error: Exception, status: int) -> None:
    """The caller learns that there is no answer now, and gets one the next time."""
    failing = True

    def tell() -> None:
        if failing:
            raise error

    with MetricsServer(0, [Node("eu", tell)]) as server:
        for path in ("/metrics", "/alarms"):
            assert get(server, path)[0] == status
        failing = False
        assert get(server, "/metrics")[0] == 200


def test_it_listens_on_this_machine_alone(server: MetricsServer) -> None:
    """On the loopback address, and the port that it was given or a free one; one that is taken is refused."""
    assert server.url.startswith("http://127.0.0.1:")
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(StartRefused, match=str(port)):
        MetricsServer(port, [])


def test_callers_who_say_nothing_hold_up_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take their places; one more is hung up on; closing ends them all, however long they would have waited."""
    monkeypatch.setattr(metrics_server._Handler, "timeout", 3600.0)
    server = MetricsServer(0, [Node("eu")])
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    silent = [socket.create_connection(address, LIMIT_S) for _ in range(metrics_server.CONNECTIONS_MAX)]
    for number, connection in enumerate(silent):  # half a request, or none
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" if number % 2 else b"")
    with socket.create_connection(address, LIMIT_S) as one_more:
        assert one_more.recv(1) == b"", "hung up on"
    closing = threading.Thread(target=server.close)
    closing.start()
    closing.join(LIMIT_S)
    assert not closing.is_alive()
    for connection in silent:
        assert connection.recv(1) == b""
        connection.close()


def test_a_caller_who_is_silent_for_long_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that callers who went away without a word do not use up all places."""
    monkeypatch.setattr(metrics_server._Handler, "timeout", 0.05)
    with MetricsServer(0, [Node("eu")]) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for _ in range(3 * metrics_server.CONNECTIONS_MAX):
            with socket.create_connection(address, LIMIT_S) as silent:
                assert silent.recv(1) == b""
        assert get(server, "/metrics")[0] == 200


def test_closing_waits_for_the_answer_that_is_being_made() -> None:
    """Once it is closed no node is asked for anything: its files may be closed by then."""
    asked, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    def tell() -> None:
        asked.set()
        assert go_on.wait(LIMIT_S)

    def call() -> None:
        with contextlib.suppress(OSError):  # it may be hung up on with the answer half sent
            get(server, "/alarms")

    server = MetricsServer(0, [Node("eu", tell)])
    caller = threading.Thread(target=call)
    caller.start()
    assert asked.wait(LIMIT_S)
    closing = threading.Thread(target=lambda: (server.close(), closed.set()))
    closing.start()
    assert not closed.wait(0.5)
    go_on.set()
    assert closed.wait(LIMIT_S)
    closing.join()
    caller.join(LIMIT_S)


def test_who_was_let_in_before_the_close_and_asks_after_it() -> None:
    """Is told that the node stops, which is not asked any more."""
    asked: list[int] = []
    pages = metrics_server._Pages([Node("eu", lambda: asked.append(1))])
    said: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/alarms"}
    pages(environ, lambda status, _: said.append(status))
    pages.close()
    pages(environ, lambda status, _: said.append(status))
    assert (said, len(asked)) == (["200 OK", "503 Service Unavailable"], 1)
