// The vertices that edges of LABEL lead to, for several players, whatever key made the edges.
//
// $vertices  ids of the players' vertices, none twice
// returns    id and target, once each pair
UNWIND $vertices AS vertex_id
MATCH (player:Player {`~id`: vertex_id})-[:`LABEL`]->(vertex)
RETURN DISTINCT player.id AS id, vertex.id AS target
