-- The spine: characteristics, their limits, samples, violations and the event log.
-- Times are microseconds since 1970 UTC. Values are in the characteristic's own unit.

CREATE TABLE log_head (
    one                     INTEGER PRIMARY KEY CHECK (one = 1),
    epoch                   TEXT    NOT NULL,   -- names this log; another one after a restore
    seq                     INTEGER NOT NULL,   -- position of the newest event
    floor                   INTEGER NOT NULL,   -- events up to here are gone
    next_characteristic_id  INTEGER NOT NULL,
    next_limits_id          INTEGER NOT NULL,
    next_sample_id          INTEGER NOT NULL,
    next_violation_id       INTEGER NOT NULL,
    last_batch              TEXT    NOT NULL    -- tells whether a commit with a lost answer happened
);

CREATE TABLE events (
    seq               INTEGER PRIMARY KEY,
    characteristic_id INTEGER NOT NULL,
    revision          INTEGER NOT NULL,
    type              TEXT    NOT NULL,
    at                INTEGER NOT NULL,
    payload           TEXT    NOT NULL
);
CREATE INDEX events_by_characteristic ON events (characteristic_id, seq);

CREATE TABLE characteristics (
    id               INTEGER PRIMARY KEY,
    key              TEXT UNIQUE,
    name             TEXT    NOT NULL,
    description      TEXT,
    chart            TEXT    NOT NULL,
    subgroup_size    INTEGER NOT NULL,
    min_measurements INTEGER NOT NULL,
    unit             TEXT,
    decimals         INTEGER,
    target           REAL,
    usl              REAL,
    lsl              REAL,
    group_path       TEXT,
    tags             TEXT    NOT NULL,          -- JSON array of words
    reaction_plan    TEXT,
    rules            TEXT    NOT NULL,          -- JSON array of rule settings
    created_at       INTEGER NOT NULL,
    limits_id        INTEGER REFERENCES control_limits (id),  -- in force
    revision         INTEGER NOT NULL           -- of its newest event
);
CREATE INDEX characteristics_by_group ON characteristics (group_path);

CREATE TABLE control_limits (
    id                     INTEGER PRIMARY KEY,
    characteristic_id      INTEGER NOT NULL REFERENCES characteristics (id),
    subgroup_size          INTEGER NOT NULL,
    center_line            REAL    NOT NULL,
    ucl                    REAL    NOT NULL,
    lcl                    REAL    NOT NULL,
    sigma                  REAL    NOT NULL,    -- of single observations
    dispersion_statistic   TEXT,
    dispersion_center_line REAL,
    dispersion_ucl         REAL,
    dispersion_lcl         REAL,
    method                 TEXT    NOT NULL,
    sample_count           INTEGER,
    first_sample_id        INTEGER,
    last_sample_id         INTEGER,
    at                     INTEGER NOT NULL,
    reason                 TEXT,
    user                   TEXT
);
CREATE INDEX control_limits_by_characteristic ON control_limits (characteristic_id, id);

CREATE TABLE samples (
    id                INTEGER PRIMARY KEY,
    characteristic_id INTEGER NOT NULL REFERENCES characteristics (id),
    at                INTEGER NOT NULL,         -- when it was measured
    received_at       INTEGER NOT NULL,
    measurements      BLOB    NOT NULL,         -- little-endian doubles
    n                 INTEGER NOT NULL,
    value             REAL    NOT NULL,
    range_value       REAL,
    std_dev           REAL,
    dispersion_value  REAL,
    limits_id         INTEGER,                  -- null: not judged
    zone              TEXT,
    in_control        INTEGER,
    ucl               REAL,
    center_line       REAL,
    lcl               REAL,
    out_of_spec       INTEGER,
    is_excluded       INTEGER NOT NULL,
    batch             TEXT,
    operator          TEXT,
    metadata          TEXT
);
CREATE INDEX samples_by_characteristic ON samples (characteristic_id, id);

CREATE TABLE violations (
    id                       INTEGER PRIMARY KEY,
    seq                      INTEGER NOT NULL,  -- of its event
    sample_id                INTEGER NOT NULL,
    characteristic_id        INTEGER NOT NULL REFERENCES characteristics (id),
    chart                    TEXT    NOT NULL,
    rule_id                  INTEGER NOT NULL,
    rule_name                TEXT    NOT NULL,
    severity                 TEXT    NOT NULL,
    message                  TEXT    NOT NULL,
    side                     TEXT,
    value                    REAL    NOT NULL,
    center_line              REAL    NOT NULL,
    ucl                      REAL    NOT NULL,
    lcl                      REAL    NOT NULL,
    sigma                    REAL    NOT NULL,
    n                        INTEGER NOT NULL,
    involved_sample_ids      TEXT    NOT NULL,  -- JSON array, oldest first
    at                       INTEGER NOT NULL,  -- its sample's time
    created_at               INTEGER NOT NULL,
    requires_acknowledgement INTEGER NOT NULL,
    status                   TEXT    NOT NULL,
    ack_user                 TEXT,
    ack_reason               TEXT,
    ack_comment              TEXT,
    ack_at                   INTEGER,
    UNIQUE (sample_id, chart, rule_id)
);
CREATE INDEX violations_by_characteristic ON violations (characteristic_id, id);
CREATE INDEX violations_open ON violations (characteristic_id, id) WHERE ack_at IS NULL AND status = 'open';
CREATE INDEX violations_unacknowledged ON violations (id) WHERE ack_at IS NULL;
CREATE INDEX violations_by_sample_time ON violations (at);

CREATE TABLE reason_codes (
    position INTEGER PRIMARY KEY,
    name     TEXT    NOT NULL UNIQUE
);
INSERT INTO reason_codes (position, name) VALUES
    (1, 'Tool Change'), (2, 'Raw Material Change'), (3, 'Setup Adjustment'), (4, 'Measurement Error'),
    (5, 'Process Adjustment'), (6, 'Environmental Factor'), (7, 'Operator Error'),
    (8, 'Equipment Malfunction'), (9, 'False Alarm'), (10, 'Under Investigation'), (11, 'Other');
