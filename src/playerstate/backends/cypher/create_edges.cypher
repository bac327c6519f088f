// Makes edges of LABEL from players to vertices of KIND. Both ends are there; the edges are not.
//
// $rows      [{player, key, targets}], targets at least one
UNWIND $rows AS row
UNWIND row.targets AS target
MATCH (player:Player {id: row.player})
MATCH (vertex:`KIND` {id: target})
CREATE (player)-[:`LABEL` {key: row.key}]->(vertex)
