-- Transitions, one row a write of a row, identified by player, key, region and version.
CREATE TABLE IF NOT EXISTS transitions (
    player_id      TEXT NOT NULL,
    state_key      TEXT NOT NULL,
    region         TEXT NOT NULL,
    first          INTEGER NOT NULL,
    last           INTEGER NOT NULL,
    written_at     INTEGER NOT NULL,
    before_version TEXT NOT NULL,
    version        TEXT NOT NULL,
    before         BLOB NOT NULL,
    after          BLOB NOT NULL,
    causes         BLOB NOT NULL,
    sides          BLOB,
    epoch          INTEGER NOT NULL,
    UNIQUE (player_id, state_key, region, version)
);

-- One row, once something was trimmed: from when on nothing was.
CREATE TABLE IF NOT EXISTS trimmed (
    complete_since INTEGER NOT NULL
);

-- How often keys were erased, of those that ever were: transitions of lower epochs are not kept.
CREATE TABLE IF NOT EXISTS epochs (
    player_id TEXT NOT NULL,
    state_key TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    PRIMARY KEY (player_id, state_key)
) WITHOUT ROWID;

-- Deliveries that did nothing, identified by the update and by its place on the region's stream. `body` is all of it.
CREATE TABLE IF NOT EXISTS deliveries (
    player_id TEXT NOT NULL,
    state_key TEXT NOT NULL,
    producer  TEXT NOT NULL,
    sequence  INTEGER NOT NULL,
    region    TEXT NOT NULL,
    position  INTEGER NOT NULL,
    place     INTEGER NOT NULL,
    judged_at INTEGER NOT NULL,
    epoch     INTEGER NOT NULL,
    body      BLOB NOT NULL,
    UNIQUE (player_id, state_key, producer, sequence, region, position, place)
);
