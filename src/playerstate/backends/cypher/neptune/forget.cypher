// Deletes all edges of a key, and its total, if the graph has this total of it: one transaction.
//
// $synced    the id of the vertex that the key's total stands on
// $player    the id of the player's vertex
// $key       the state key, "" for edges that no key made
// $had       the total, 0 for none
// returns    forgotten, how many totals were deleted, and still, how many are there: in one row
OPTIONAL MATCH (there:Synced {`~id`: $synced})
WITH coalesce(there.total, 0) AS had
WHERE had = $had
MATCH (player:Player {`~id`: $player})-[edge]->()
WHERE coalesce(edge.key, "") = $key
DELETE edge
WITH count(*) AS deleted
MATCH (synced:Synced {`~id`: $synced})
WHERE coalesce(synced.total, 0) = $had
DELETE synced
WITH count(*) AS forgotten
OPTIONAL MATCH (there:Synced {`~id`: $synced})
RETURN forgotten, count(there) AS still
