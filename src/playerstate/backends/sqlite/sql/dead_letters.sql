-- What stages could not take, in the order in which it was put. `letter` is the whole letter as MessagePack; the other
-- columns are there to find it by.
CREATE TABLE IF NOT EXISTS letters (
    place     INTEGER PRIMARY KEY AUTOINCREMENT,
    letter_id TEXT NOT NULL UNIQUE,
    stage     TEXT NOT NULL,
    at        INTEGER NOT NULL,
    code      TEXT NOT NULL,
    player_id TEXT,
    identity  BLOB,
    letter    BLOB NOT NULL
);

CREATE INDEX IF NOT EXISTS letters_by_identity ON letters (identity) WHERE identity IS NOT NULL;
CREATE INDEX IF NOT EXISTS letters_by_stage ON letters (stage, at);

-- Letters that have gone, in the order in which they went, without what they held. `ending` is MessagePack.
CREATE TABLE IF NOT EXISTS gone (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    letter_id   TEXT NOT NULL,
    stage       TEXT NOT NULL,
    at          INTEGER NOT NULL,
    code        TEXT NOT NULL,
    player_id   TEXT,
    identity    BLOB,
    fingerprint BLOB NOT NULL,
    ended_at    INTEGER NOT NULL,
    ending      BLOB NOT NULL
);

CREATE INDEX IF NOT EXISTS gone_by_letter ON gone (letter_id);
CREATE INDEX IF NOT EXISTS gone_by_identity ON gone (identity) WHERE identity IS NOT NULL;

-- Of accept's own producers, the highest sequence of which a record was forgotten.
CREATE TABLE IF NOT EXISTS forgotten (
    producer TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) WITHOUT ROWID;
