"""Copies in another region's replica: only this region's rows, as they have come there; what differs is found."""

from __future__ import annotations

from aws.tables import make_rows_table
from builders import KEY, write
from ministack import MiniStack
from playerstate.backends.aws.clients import Clients
from playerstate.backends.aws.copies import DynamoCopies
from playerstate.backends.aws.store import DynamoStore
from playerstate.core.model import Key

HERE, THERE = "us-east-1", "eu-west-1"


def test_only_the_owners_rows(ministack: MiniStack) -> None:
    """Of each player asked for, in their order, the rows that the owner has written, and nobody else's."""
    store = DynamoStore(ministack.clients(), make_rows_table(ministack), THERE, lambda: [HERE, THERE])
    own, other = write(KEY, 1, region=HERE), write(KEY, 1, region=THERE)
    elsewhere = write(Key("bob", "gold"), 1, region=THERE)
    assert store.commit([[own], [other], [elsewhere]]) == [True] * 3
    copies = DynamoCopies(THERE, HERE, store)
    assert copies.region == THERE
    assert copies.passed() is None
    assert copies.load(["bob", "anna", "nobody"]) == [{}, {"gold": own.new}, {}]


def test_clients_of_another_region(ministack: MiniStack) -> None:
    """A table of the same name in another region is another table."""
    here: Clients = ministack.clients(HERE)
    there = here.in_region(THERE)
    assert (there.region, there is here) == (THERE, False)
    table = make_rows_table(ministack)
    tables = [clients.read("dynamodb", "list_tables")["TableNames"] for clients in (here, there)]
    assert [table in names for names in tables] == [True, False]
