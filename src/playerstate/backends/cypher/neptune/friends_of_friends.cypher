// The vertices at the end of two edges of LABEL that are neither the start nor at the end of one.
//
// $vertex    the id of the player's vertex where the first edge starts
// $id        the player's id
// $limit     how many
// returns    id, in ascending order
MATCH (start:Player {`~id`: $vertex})-[:`LABEL`]->(near)
WITH start, collect(DISTINCT near.id) AS near_ids
MATCH (start)-[:`LABEL`]->(middle:Player)-[:`LABEL`]->(far)
WITH DISTINCT far.id AS id, near_ids
WHERE NOT id IN near_ids AND id <> $id
RETURN id ORDER BY id LIMIT $limit
