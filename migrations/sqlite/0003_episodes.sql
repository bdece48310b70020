-- Episodes: violations of one characteristic that belong together.

CREATE TABLE episodes (
    id                  INTEGER PRIMARY KEY,
    characteristic_id   INTEGER NOT NULL REFERENCES characteristics (id),
    severity            TEXT    NOT NULL,       -- the severest of its violations
    patterns            TEXT    NOT NULL,       -- JSON array: which rules fired, in the order they first did
    violations          INTEGER NOT NULL,       -- that have joined it
    holding             INTEGER NOT NULL,       -- of them, not withdrawn
    unacknowledged      INTEGER NOT NULL,       -- of them, waiting for somebody
    first_violation_id  INTEGER NOT NULL,
    newest_violation_id INTEGER NOT NULL,
    opened_at           INTEGER NOT NULL,
    heard_at            INTEGER NOT NULL,       -- the newest point or violation
    points_in_control   INTEGER NOT NULL,       -- in a row, up to now
    points_since_answer INTEGER NOT NULL,       -- violating
    ack_user            TEXT,                   -- the answer that holds
    ack_reason          TEXT,
    ack_comment         TEXT,
    ack_at              INTEGER,
    ack_source          TEXT,
    lapsed_at           INTEGER,
    closed_at           INTEGER,
    closing_reason      TEXT
);
CREATE UNIQUE INDEX episodes_open ON episodes (characteristic_id) WHERE closed_at IS NULL;
CREATE INDEX episodes_by_characteristic ON episodes (characteristic_id, id);

-- Violations of before belong to none.
ALTER TABLE violations ADD COLUMN episode_id INTEGER;
CREATE INDEX violations_by_episode ON violations (episode_id, id) WHERE episode_id IS NOT NULL;
CREATE INDEX violations_open_by_episode ON violations (episode_id, id) WHERE ack_at IS NULL AND status = 'open';

ALTER TABLE log_head ADD COLUMN next_episode_id INTEGER NOT NULL DEFAULT 1;
