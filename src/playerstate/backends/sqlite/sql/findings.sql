-- Findings of verification, as MessagePack. Their ids begin with the time at which they were confirmed.
CREATE TABLE IF NOT EXISTS findings (
    finding_id TEXT PRIMARY KEY,
    player_id  TEXT NOT NULL,
    finding    BLOB NOT NULL
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS findings_by_player ON findings (player_id, finding_id);
