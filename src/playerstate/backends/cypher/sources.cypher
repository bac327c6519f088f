// The players whose edges of LABEL lead to a vertex of KIND, whatever key made them.
//
// $id        the vertex
// returns    id, once for each key that makes such an edge
MATCH (player:Player)-[:`LABEL`]->(:`KIND` {id: $id})
RETURN player.id
