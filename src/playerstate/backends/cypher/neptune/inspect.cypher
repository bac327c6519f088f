// All that is there of some players, at one moment: totals of keys, and every edge with the total of the key it is of.
//
// $players   their ids
// $keys      state keys that may have a total and no edge
// returns    player, key (null for an edge that no key made), total (null for none), label ("" where a key is told of, and
//            no edge), kinds (a list of one), target
UNWIND $players AS player
UNWIND $keys AS key
WITH player, key, "Synced#" + player + "#" + key AS synced_id
MATCH (synced:Synced {`~id`: synced_id})
RETURN player, key, synced.total AS total, "" AS label, labels(synced) AS kinds, "" AS target
UNION ALL
UNWIND $players AS player
WITH player, "Player#" + player AS player_id
MATCH (start:Player {`~id`: player_id})-[edge]->(vertex)
WITH player, edge, vertex, "Synced#" + player + "#" + coalesce(edge.key, "") AS synced_id
OPTIONAL MATCH (synced:Synced {`~id`: synced_id})
RETURN player, edge.key AS key, synced.total AS total, type(edge) AS label, labels(vertex) AS kinds, vertex.id AS target
