-- One consumer group's queue. `visible_at` is in milliseconds; a received message is given a new receipt.
CREATE TABLE IF NOT EXISTS messages (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    visible_at INTEGER NOT NULL,
    attempt    INTEGER NOT NULL DEFAULT 0,
    body       BLOB NOT NULL
);

-- Messages that were received too often.
CREATE TABLE IF NOT EXISTS dead (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    body BLOB NOT NULL
);
