// All edges of LABEL that lead from a player to vertices of KIND.
//
// $player    the player
// returns    key (null for an edge that no key made) and id, once an edge
MATCH (:Player {id: $player})-[edge:`LABEL`]->(vertex:`KIND`)
RETURN edge.key, vertex.id
