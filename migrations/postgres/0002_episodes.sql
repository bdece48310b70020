-- Episodes: violations of one characteristic that belong together.

CREATE TABLE episodes (
    id                  BIGINT  PRIMARY KEY,
    characteristic_id   BIGINT  NOT NULL,
    severity            TEXT    NOT NULL,       -- the severest of its violations
    patterns            TEXT    NOT NULL,       -- JSON array: which rules fired, in the order they first did
    violations          BIGINT  NOT NULL,       -- that have joined it
    holding             BIGINT  NOT NULL,       -- of them, not withdrawn
    unacknowledged      BIGINT  NOT NULL,       -- of them, waiting for somebody
    first_violation_id  BIGINT  NOT NULL,
    newest_violation_id BIGINT  NOT NULL,
    opened_at           BIGINT  NOT NULL,
    heard_at            BIGINT  NOT NULL,       -- the newest point or violation
    points_in_control   BIGINT  NOT NULL,       -- in a row, up to now
    points_since_answer BIGINT  NOT NULL,       -- violating
    ack_user            TEXT,                   -- the answer that holds
    ack_reason          TEXT,
    ack_comment         TEXT,
    ack_at              BIGINT,
    ack_source          TEXT,
    lapsed_at           BIGINT,
    closed_at           BIGINT,
    closing_reason      TEXT
);
CREATE UNIQUE INDEX episodes_open ON episodes (characteristic_id) WHERE closed_at IS NULL;
CREATE INDEX episodes_by_characteristic ON episodes (characteristic_id, id);

-- Violations of before belong to none.
ALTER TABLE violations ADD COLUMN episode_id BIGINT;
CREATE INDEX violations_by_episode ON violations (episode_id, id) WHERE episode_id IS NOT NULL;
CREATE INDEX violations_open_by_episode ON violations (episode_id, id) WHERE ack_at IS NULL AND status = 'open';

ALTER TABLE log_head ADD COLUMN next_episode_id BIGINT NOT NULL DEFAULT 1;
