-- What stages could not take. `letter` is the whole letter as MessagePack; the identity is there to find it by.
CREATE TABLE IF NOT EXISTS letters (
    letter_id TEXT PRIMARY KEY,
    identity  BLOB,
    letter    BLOB NOT NULL
);

CREATE INDEX IF NOT EXISTS letters_by_identity ON letters (identity) WHERE identity IS NOT NULL;
