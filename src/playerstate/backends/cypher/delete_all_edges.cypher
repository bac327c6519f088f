// Deletes every edge of LABEL that one key makes to vertices of KIND.
//
// $player    the key's player
// $key       the state key, "" for edges that no key made
MATCH (:Player {id: $player})-[edge:`LABEL`]->(:`KIND`)
WITH edge, coalesce(edge.key, "") AS key
WHERE key = $key
DELETE edge
