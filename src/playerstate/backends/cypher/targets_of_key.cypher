// The vertices of KIND that one key's edges of LABEL lead to.
//
// $player    the key's player
// $key       the state key
// returns    id
MATCH (:Player {id: $player})-[:`LABEL` {key: $key}]->(vertex:`KIND`)
RETURN vertex.id
