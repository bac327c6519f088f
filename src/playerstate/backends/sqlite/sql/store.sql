-- Rows by player and `state_key#region`, and the changes made to them, written in the same transaction.
-- A rowid table: WITHOUT ROWID halves the write rate, because whole rows then move within the index.
CREATE TABLE IF NOT EXISTS rows (
    player_id      TEXT NOT NULL,
    range_key      TEXT NOT NULL,
    version_vector TEXT NOT NULL,
    body           BLOB NOT NULL,
    PRIMARY KEY (player_id, range_key)
);

-- One row: the region, with its incarnation, that hands out dots from this file.
CREATE TABLE IF NOT EXISTS about (
    region TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS changes (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    player_id TEXT NOT NULL,
    range_key TEXT NOT NULL,
    old       BLOB,
    new       BLOB NOT NULL
);
