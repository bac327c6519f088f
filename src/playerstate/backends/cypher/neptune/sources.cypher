// The players whose edges of LABEL lead to one of some vertices, whatever key made the edges.
//
// $vertices  ids of vertices, of any kind, none twice
// returns    id and source, once each pair of vertices
UNWIND $vertices AS vertex_id
MATCH (player:Player)-[:`LABEL`]->(vertex {`~id`: vertex_id})
RETURN DISTINCT vertex.id AS id, player.id AS source
