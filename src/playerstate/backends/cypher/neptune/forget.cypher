// Deletes all edges of a key, and its total, if the graph has this total of it: one transaction.
//
// $rows      [{synced, player, key, had}], one row: synced and player are the ids of vertices, key is "" for edges that no
//            key made, had is the total, 0 for none
// returns    forgotten, how many totals were deleted, and still, how many are there: in one row
UNWIND $rows AS row
OPTIONAL MATCH (there:Synced {`~id`: row.synced})
WITH row, coalesce(there.total, 0) AS had
WHERE had = row.had
MATCH (player:Player {`~id`: row.player})-[edge]->()
WHERE coalesce(edge.key, "") = row.key
DELETE edge
WITH count(*) AS deleted
UNWIND $rows AS row
MATCH (synced:Synced {`~id`: row.synced})
WHERE coalesce(synced.total, 0) = row.had
DELETE synced
WITH count(*) AS forgotten
UNWIND $rows AS row
OPTIONAL MATCH (there:Synced {`~id`: row.synced})
RETURN forgotten, count(there) AS still
