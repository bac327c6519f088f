// What the graph has of a key, at one moment.
//
// $synced    the id of the vertex that the key's total stands on
// $player    the id of the player's vertex
// $key       the state key
// returns    total, and target (null if the key makes no edge), once an edge; no row for a key that was never synced
MATCH (synced:Synced {`~id`: $synced})
OPTIONAL MATCH (player:Player {`~id`: $player})-[edge {key: $key}]->(vertex)
RETURN synced.total AS total, vertex.id AS target
