// What the graph has of some keys.
//
// $ids       the keys' ids, `player#key`, at least one
// returns    id, total, label and kind (of the edges that the key makes); no row for a key that was never synced
UNWIND $ids AS id
MATCH (synced:Synced {id: id})
RETURN synced.id, synced.total, synced.label, synced.kind
