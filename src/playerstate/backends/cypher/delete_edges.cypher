// Deletes edges of LABEL that one key makes to vertices of KIND.
//
// $player    the key's player
// $key       the state key
// $targets   the vertices at the other end, at least one
MATCH (:Player {id: $player})-[edge:`LABEL` {key: $key}]->(vertex:`KIND`)
WITH edge, vertex.id AS target
WHERE target IN $targets
DELETE edge
