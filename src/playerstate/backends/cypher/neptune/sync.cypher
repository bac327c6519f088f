// Makes the edges of some keys those given, each key's if the total that the graph has of it allows: one transaction.
//
// $rows      [{synced, id, player, player_id, key, had, total, targets}]: synced and player are the ids of vertices,
//            targets plain ids; no key twice
// $exactly   true: a key is taken if its total is row.had, and all its edges are made anew
//            false: a key is taken if its total is at most row.had, and edges that are wanted stay
// $label     the label of the edges
// $kind      the kind of the vertices that they lead to
// $prefix    what makes a plain id of that kind the id of a vertex
// $call      an id of this call: what it has taken is known by it, also when the same call comes again
// returns    taken, the number of keys
UNWIND $rows AS row
OPTIONAL MATCH (there:Synced {`~id`: row.synced})
WITH row,
  coalesce(there.total, 0) AS had,
  coalesce(there.label, "") = $label AND coalesce(there.kind, "") = $kind AND NOT $exactly AS alike
WHERE had = row.had OR (had < row.had AND NOT $exactly)
MERGE (synced:Synced {`~id`: row.synced})
ON CREATE SET synced.id = row.id
SET synced.total = row.total, synced.label = $label, synced.kind = $kind, synced.call = $call
MERGE (player:Player {`~id`: row.player})
ON CREATE SET player.id = row.player_id
WITH player, row, alike
MATCH (player)-[edge]->(vertex)
WHERE edge.key = row.key AND NOT (alike AND vertex.id IN row.targets)
DELETE edge
WITH count(*) AS deleted
UNWIND $rows AS row
MATCH (synced:Synced {`~id`: row.synced})
WHERE synced.call = $call
UNWIND row.targets AS target
WITH row.player AS start_id, row.key AS key, target, $prefix + target AS vertex_id
MATCH (player:Player {`~id`: start_id})
MERGE (vertex:`KIND` {`~id`: vertex_id})
ON CREATE SET vertex.id = target
MERGE (player)-[:`LABEL` {key: key}]->(vertex)
WITH count(*) AS made
UNWIND $rows AS row
MATCH (synced:Synced {`~id`: row.synced})
WHERE synced.call = $call
RETURN count(synced) AS taken
