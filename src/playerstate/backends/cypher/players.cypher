// The next players that are vertices.
//
// $after     a player's id, or ""
// $limit     how many
// returns    id, in ascending order
MATCH (player:Player)
WHERE player.id > $after
RETURN player.id AS id ORDER BY id LIMIT $limit
