-- The whole contract: keys, modes, exclusion, foreign events, idempotency, alarm state, retention.

ALTER TABLE events ADD COLUMN history INTEGER NOT NULL DEFAULT 0;      -- only for who asks for history

ALTER TABLE characteristics ADD COLUMN auto_limits_after INTEGER;
ALTER TABLE characteristics ADD COLUMN retired           INTEGER NOT NULL DEFAULT 0;
ALTER TABLE characteristics ADD COLUMN deleted           INTEGER NOT NULL DEFAULT 0;   -- its rows are being removed
ALTER TABLE characteristics ADD COLUMN phase_from        INTEGER NOT NULL DEFAULT 1;   -- samples from this id on
ALTER TABLE characteristics ADD COLUMN samples_collected INTEGER NOT NULL DEFAULT 0;   -- of the present phase
ALTER TABLE characteristics ADD COLUMN open_violations   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE characteristics ADD COLUMN unacknowledged    INTEGER NOT NULL DEFAULT 0;   -- open and waiting for somebody
ALTER TABLE characteristics ADD COLUMN signalling        INTEGER;                      -- the newest judged sample did
ALTER TABLE characteristics ADD COLUMN alarm_state       TEXT    NOT NULL DEFAULT 'no_limits';

ALTER TABLE control_limits RENAME COLUMN user TO set_by;
ALTER TABLE control_limits ADD COLUMN provisional    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE control_limits ADD COLUMN from_sample_id INTEGER NOT NULL DEFAULT 1;       -- where its phase begins

ALTER TABLE samples ADD COLUMN seq         INTEGER NOT NULL DEFAULT 0;                     -- of its event
ALTER TABLE samples ADD COLUMN mode        TEXT NOT NULL DEFAULT 'live';
ALTER TABLE samples ADD COLUMN key         TEXT;
ALTER TABLE samples ADD COLUMN source      TEXT;                                       -- the system that judged it
ALTER TABLE samples ADD COLUMN external_id TEXT;
-- Nothing reads it, and every event paid for it with a page of its own.
DROP INDEX events_by_characteristic;

CREATE UNIQUE INDEX samples_by_key ON samples (characteristic_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX samples_by_external_id ON samples (source, external_id) WHERE external_id IS NOT NULL;

-- What another system judged may lack what ours always have.
CREATE TABLE violations_of_all (
    id                       INTEGER PRIMARY KEY,
    seq                      INTEGER NOT NULL,  -- of its event
    sample_id                INTEGER,
    characteristic_id        INTEGER NOT NULL REFERENCES characteristics (id),
    chart                    TEXT    NOT NULL,
    rule_id                  INTEGER NOT NULL,
    rule_name                TEXT    NOT NULL,
    severity                 TEXT    NOT NULL,
    message                  TEXT    NOT NULL,
    side                     TEXT,
    value                    REAL,
    center_line              REAL,
    ucl                      REAL,
    lcl                      REAL,
    sigma                    REAL,
    n                        INTEGER,
    involved_sample_ids      TEXT    NOT NULL,  -- JSON array, oldest first
    at                       INTEGER NOT NULL,  -- its sample's time
    created_at               INTEGER NOT NULL,
    requires_acknowledgement INTEGER NOT NULL,
    rejudged                 INTEGER NOT NULL,
    history                  INTEGER NOT NULL,
    source                   TEXT,
    external_id              TEXT,
    external_sample_id       TEXT,
    status                   TEXT    NOT NULL,
    ack_user                 TEXT,
    ack_reason               TEXT,
    ack_comment              TEXT,
    ack_at                   INTEGER,
    ack_source               TEXT,
    UNIQUE (sample_id, chart, rule_id)
);
INSERT INTO violations_of_all
    SELECT id, seq, sample_id, characteristic_id, chart, rule_id, rule_name, severity, message, side, value,
           center_line, ucl, lcl, sigma, n, involved_sample_ids, at, created_at, requires_acknowledgement, 0, 0,
           NULL, NULL, NULL, status, ack_user, ack_reason, ack_comment, ack_at, NULL
    FROM violations;
DROP TABLE violations;
ALTER TABLE violations_of_all RENAME TO violations;
CREATE INDEX violations_by_characteristic ON violations (characteristic_id, id);
CREATE INDEX violations_open ON violations (characteristic_id, id) WHERE ack_at IS NULL AND status = 'open';
CREATE INDEX violations_unacknowledged ON violations (id) WHERE ack_at IS NULL;
CREATE INDEX violations_by_sample_time ON violations (at);
CREATE UNIQUE INDEX violations_by_external_id ON violations (source, external_id) WHERE external_id IS NOT NULL;

-- Answers to requests that carried an Idempotency-Key; a batch has one for each of its items.
CREATE TABLE idempotency (
    scope     TEXT    NOT NULL,                 -- route and caller
    key       TEXT    NOT NULL,
    part      INTEGER NOT NULL,
    body_hash BLOB    NOT NULL,
    status    INTEGER NOT NULL,
    answer    TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (scope, key, part)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_time ON idempotency (at);

-- Which events of other systems were taken, and what became of them.
CREATE TABLE foreign_events (
    source       TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    sample_id    INTEGER,
    violation_id INTEGER,
    limits_id    INTEGER,
    seq          INTEGER,
    at           INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;

-- What is counted from now on is counted up to now.
UPDATE control_limits SET from_sample_id = coalesce(
    (SELECT min(s.id) FROM samples s WHERE s.limits_id = control_limits.id),
    (SELECT next_sample_id FROM log_head), 1);
UPDATE characteristics SET
    phase_from = coalesce((SELECT l.from_sample_id FROM control_limits l WHERE l.id = characteristics.limits_id), 1),
    open_violations = (SELECT count(*) FROM violations v WHERE v.characteristic_id = characteristics.id
                       AND v.ack_at IS NULL AND v.status = 'open'),
    unacknowledged = (SELECT count(*) FROM violations v WHERE v.characteristic_id = characteristics.id
                      AND v.ack_at IS NULL AND v.status = 'open' AND v.requires_acknowledgement),
    signalling = (SELECT NOT s.in_control FROM samples s WHERE s.characteristic_id = characteristics.id
                  AND s.in_control IS NOT NULL ORDER BY s.id DESC LIMIT 1);
UPDATE characteristics SET
    samples_collected = (SELECT count(*) FROM samples s
                         WHERE s.characteristic_id = characteristics.id AND s.id >= characteristics.phase_from),
    alarm_state = CASE
        WHEN signalling AND unacknowledged > 0 THEN 'active_unacked'
        WHEN signalling THEN 'active_acked'
        WHEN unacknowledged > 0 THEN 'returned_unacked'
        WHEN signalling IS NOT NULL OR limits_id IS NOT NULL THEN 'normal'
        ELSE 'no_limits' END;
