// Says what the graph has of some keys from now on. The last query of a sync.
//
// $rows      [{id, total, label, kind}]
UNWIND $rows AS row
MERGE (synced:Synced {id: row.id})
SET synced.total = row.total, synced.label = row.label, synced.kind = row.kind
