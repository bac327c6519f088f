// The vertices of KIND at the end of two edges of LABEL, the first of which leads to a player.
//
// $player    where the first edge starts
// $near      ids that are left out, at least one
// $limit     how many
// returns    id, in ascending order
MATCH (:Player {id: $player})-[:`LABEL`]->(:Player)-[:`LABEL`]->(vertex:`KIND`)
WITH DISTINCT vertex.id AS id
WHERE NOT id IN $near
RETURN id ORDER BY id LIMIT $limit
