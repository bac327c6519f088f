// Forgets what the graph has of a key.
//
// $id        the key's id, `player#key`
MATCH (synced:Synced {id: $id})
DELETE synced
