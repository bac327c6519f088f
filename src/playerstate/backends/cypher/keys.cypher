// The next keys that the graph has something of.
//
// $after     an id, `player#key`, or ""
// $limit     how many
// returns    id, in ascending order
MATCH (synced:Synced)
WHERE synced.id > $after
RETURN synced.id AS id ORDER BY id LIMIT $limit
