"""The queries for Neptune keep to what both databases take, as `docs/adding-a-backend.md` lists it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from docs.markdown import read, section, table_rows

FOLDER = files("playerstate.backends.cypher")
QUERIES = {path.name: path.read_text("utf-8") for path in FOLDER.joinpath("neptune").iterdir()} | {
    name: FOLDER.joinpath(name).read_text("utf-8") for name in ("keys.cypher", "players.cypher")
}

LEFT_OUT = {
    "`FOREACH`": r"\bFOREACH\b",
    "`CALL`, `YIELD`": r"\b(CALL|YIELD)\b",
    "`EXISTS { }`, patterns as conditions": r"\bEXISTS\b|\bNOT\s*\(\w*(:[^)]*)?\)\s*<?-",
    "`shortestPath`, paths of any length": r"(?i)shortestpath|\[[^\]]*\*",
    "places in lists, slices": r"\w\[[^\]]*\]|\)\[",
    "list comprehensions, `reduce`, `head`": r"\[\s*\w+\s+IN\b|\b(reduce|head|last|tail)\s*\(",
    "`id(vertex)`, `label(edge)`": r"\b(id|label)\s*\(",
    "the property `~id`, but in a pattern": r"\.`~id`|SET[^\n]*`~id`",
    "edges with ids": r"\[[^\]]*`~id`",
    "`CREATE`, `DETACH`, `REMOVE`, `+=`": r"\b(CREATE(?! SET)|DETACH|REMOVE)\b|\+=",
    "`=~`": r"=~",
    'literals of strings, but `""` and ids\' prefixes': r"'|\"(?!\"|Synced#\"|Player#\"|#\")[^\" +)]+\"",
    "names that are words of either language": r"\bAS (end|count|type|order|group|table|column|default)\b",
}
"""What a query may not have, and how that is told from its text without the header."""


def statement(name: str) -> str:
    return "\n".join(line for line in QUERIES[name].splitlines() if not line.startswith("//"))


def header(name: str) -> str:
    return "\n".join(line for line in QUERIES[name].splitlines() if line.startswith("//"))


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_query_keeps_to_what_is_shared(name: str) -> None:
    """It has nothing that one of the two databases lacks, or takes for something else."""
    found = {what: hit[0] for what, pattern in LEFT_OUT.items() if (hit := re.search(pattern, statement(name)))}
    assert not found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("`FOREACH`", "FOREACH (x IN list | SET x.a = 1)"),
        ("`CALL`, `YIELD`", "CALL { WITH a RETURN b }"),
        ("`EXISTS { }`, patterns as conditions", "WHERE NOT (a)-[:FRIEND]->(b)"),
        ("`EXISTS { }`, patterns as conditions", "WHERE EXISTS { MATCH (a) }"),
        ("`shortestPath`, paths of any length", "MATCH (a)-[:FRIEND*1..3]->(b)"),
        ("places in lists, slices", "RETURN row.targets[0]"),
        ("places in lists, slices", "RETURN labels(vertex)[1]"),
        ("list comprehensions, `reduce`, `head`", "RETURN [x IN list | x.id]"),
        ("list comprehensions, `reduce`, `head`", "RETURN head(labels(vertex))"),
        ("`id(vertex)`, `label(edge)`", "WHERE id(vertex) = $id"),
        ("the property `~id`, but in a pattern", "RETURN vertex.`~id`"),
        ("edges with ids", "MERGE (a)-[:FRIEND {`~id`: row.id}]->(b)"),
        ("`CREATE`, `DETACH`, `REMOVE`, `+=`", "DETACH DELETE vertex"),
        ("`CREATE`, `DETACH`, `REMOVE`, `+=`", "CREATE (a)"),
        ("`=~`", "WHERE a.id =~ $pattern"),
        ('literals of strings, but `""` and ids\' prefixes', 'MATCH (a {id: "anna"})'),
        ('literals of strings, but `""` and ids\' prefixes', "MATCH (a {id: 'anna'})"),
        ("names that are words of either language", "UNWIND list AS end"),
    ],
)
def test_what_is_left_out_is_told(what: str, text: str) -> None:
    """Each rule finds what it is for."""
    assert re.search(LEFT_OUT[what], text)


def test_the_list_is_the_documents() -> None:
    """What is left out is listed where backends are explained, with the reason."""
    listed = table_rows(section(read("docs/adding-a-backend.md"), "What is left out"))
    assert [row[0] for row in listed] == list(LEFT_OUT)
    assert all(row[1] for row in listed)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_header_tells_of_every_parameter(name: str) -> None:
    """The parameters that a query takes are those that its header explains; so is every column."""
    used = set(re.findall(r"\$(\w+)", statement(name)))
    assert set(re.findall(r"\$(\w+)", header(name))) == used
    returned = re.split(r" ORDER |\n", statement(name).rpartition("RETURN ")[2])[0].removeprefix("DISTINCT ")
    columns = [part.split()[-1] for part in returned.split(", ")]
    assert all(re.search(rf"\b{column}\b", header(name)) for column in columns)


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_every_column_has_a_name(name: str) -> None:
    """Rows come as maps, so that each value that is returned is given its name."""
    for returned in re.findall(r"RETURN (?:DISTINCT )?(.*?)(?: ORDER|$)", statement(name), re.MULTILINE):
        assert all(re.fullmatch(r"\w+|.* AS \w+", part) for part in returned.split(", ")), returned


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_a_vertex_is_made_by_its_id(name: str) -> None:
    """Neptune keeps nothing else unique: MERGE takes `~id` and no property, which is set when the vertex is new."""
    for made in re.findall(r"MERGE (\(\w*:[^)]*\))(?!-)", statement(name)):
        assert re.fullmatch(r"\(\w+:[\w`]+ {`~id`: [\w.]+}\)", made), made


def test_what_is_written_is_seen_behind_a_barrier() -> None:
    """Where a clause must see what an earlier one wrote for other rows, an aggregation to one row stands between."""
    for name in ("sync.cypher", "forget.cypher"):
        written, *later = re.split(r"WITH count\(\*\) AS \w+\n", statement(name))
        assert "DELETE edge" in written
        assert len(later) == 2
        assert "UNION" not in statement(name)
