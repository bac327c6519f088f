-- The stream of accepted updates: one row a record. Positions are never used again, also after a trim.
CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    body     BLOB NOT NULL
);

-- One row: an id that is new with the file, so that what is numbered by positions is never numbered twice.
CREATE TABLE IF NOT EXISTS identity (
    stream_id TEXT NOT NULL
);
INSERT INTO identity (stream_id) SELECT lower(hex(randomblob(4))) WHERE NOT EXISTS (SELECT 1 FROM identity);
