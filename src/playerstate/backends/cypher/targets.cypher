// The vertices of KIND that a player's edges of LABEL lead to, whatever key made them.
//
// $id        the player
// returns    id, once for each key that makes such an edge
MATCH (:Player {id: $id})-[:`LABEL`]->(vertex:`KIND`)
RETURN vertex.id
