// Makes vertices of KIND that are not there yet.
//
// $ids       their ids, at least one, none twice
UNWIND $ids AS id
MERGE (:`KIND` {id: id})
