-- The whole contract on PostgreSQL: the same tables as on SQLite, in its own types.
-- Times are microseconds since 1970 UTC. Values are in the characteristic's own unit.

CREATE TABLE log_head (
    one                     BIGINT PRIMARY KEY CHECK (one = 1),
    epoch                   TEXT   NOT NULL,    -- names this log; another one after a restore
    seq                     BIGINT NOT NULL,    -- position of the newest event
    floor                   BIGINT NOT NULL,    -- events up to here are gone
    next_characteristic_id  BIGINT NOT NULL,
    next_limits_id          BIGINT NOT NULL,
    next_sample_id          BIGINT NOT NULL,
    next_violation_id       BIGINT NOT NULL,
    last_batch              TEXT   NOT NULL     -- tells whether a commit with a lost answer happened
);

CREATE TABLE events (
    seq               BIGINT  PRIMARY KEY,
    characteristic_id BIGINT  NOT NULL,
    revision          BIGINT  NOT NULL,
    type              TEXT    NOT NULL,
    history           BOOLEAN NOT NULL,         -- only for who asks for history
    at                BIGINT  NOT NULL,
    payload           TEXT    NOT NULL
);

CREATE TABLE characteristics (
    id                BIGINT  PRIMARY KEY,
    key               TEXT UNIQUE,
    name              TEXT    NOT NULL,
    description       TEXT,
    chart             TEXT    NOT NULL,
    subgroup_size     BIGINT  NOT NULL,
    min_measurements  BIGINT  NOT NULL,
    unit              TEXT,
    decimals          BIGINT,
    target            DOUBLE PRECISION,
    usl               DOUBLE PRECISION,
    lsl               DOUBLE PRECISION,
    group_path        TEXT,
    tags              TEXT    NOT NULL,         -- JSON array of words
    reaction_plan     TEXT,
    auto_limits_after BIGINT,
    rules             TEXT    NOT NULL,         -- JSON array of rule settings
    created_at        BIGINT  NOT NULL,
    retired           BOOLEAN NOT NULL,
    deleted           BOOLEAN NOT NULL DEFAULT FALSE,   -- its rows are being removed
    limits_id         BIGINT,                   -- in force
    phase_from        BIGINT  NOT NULL,         -- samples from this id on belong to the present phase
    revision          BIGINT  NOT NULL,         -- of its newest event
    samples_collected BIGINT  NOT NULL,         -- of the present phase
    open_violations   BIGINT  NOT NULL,
    unacknowledged    BIGINT  NOT NULL,         -- open and waiting for somebody
    signalling        BOOLEAN,                  -- the newest judged sample did
    alarm_state       TEXT    NOT NULL
) WITH (fillfactor = 50);                       -- counted up with every batch: room for that on the same page
CREATE INDEX characteristics_by_group ON characteristics (group_path);

CREATE TABLE control_limits (
    id                     BIGINT PRIMARY KEY,
    characteristic_id      BIGINT NOT NULL REFERENCES characteristics (id),
    subgroup_size          BIGINT NOT NULL,
    center_line            DOUBLE PRECISION NOT NULL,
    ucl                    DOUBLE PRECISION NOT NULL,
    lcl                    DOUBLE PRECISION NOT NULL,
    sigma                  DOUBLE PRECISION NOT NULL,   -- of single observations
    dispersion_statistic   TEXT,
    dispersion_center_line DOUBLE PRECISION,
    dispersion_ucl         DOUBLE PRECISION,
    dispersion_lcl         DOUBLE PRECISION,
    method                 TEXT   NOT NULL,
    provisional            BOOLEAN NOT NULL,
    sample_count           BIGINT,
    first_sample_id        BIGINT,
    last_sample_id         BIGINT,
    from_sample_id         BIGINT NOT NULL,     -- where its phase begins
    at                     BIGINT NOT NULL,
    reason                 TEXT,
    set_by                 TEXT
);
CREATE INDEX control_limits_by_characteristic ON control_limits (characteristic_id, id);
ALTER TABLE characteristics ADD FOREIGN KEY (limits_id) REFERENCES control_limits (id);

-- No foreign key from the three large tables: each row inserted would look its characteristic up and lock it,
-- and the log head's lock keeps anybody from removing one meanwhile.
CREATE TABLE samples (
    id                BIGINT  PRIMARY KEY,
    seq               BIGINT  NOT NULL,         -- of its event
    characteristic_id BIGINT  NOT NULL,
    at                BIGINT  NOT NULL,         -- when it was measured
    received_at       BIGINT  NOT NULL,
    measurements      BYTEA   NOT NULL,         -- little-endian doubles
    n                 BIGINT  NOT NULL,
    value             DOUBLE PRECISION NOT NULL,
    range_value       DOUBLE PRECISION,
    std_dev           DOUBLE PRECISION,
    dispersion_value  DOUBLE PRECISION,
    limits_id         BIGINT,                   -- null: not judged by limits of ours
    zone              TEXT,
    in_control        BOOLEAN,                  -- null: not judged
    ucl               DOUBLE PRECISION,
    center_line       DOUBLE PRECISION,
    lcl               DOUBLE PRECISION,
    out_of_spec       BIGINT,
    is_excluded       BOOLEAN NOT NULL,
    mode              TEXT    NOT NULL,
    key               TEXT,
    source            TEXT,                     -- the system that judged it
    external_id       TEXT,
    batch             TEXT,
    operator          TEXT,
    metadata          TEXT
);
CREATE INDEX samples_by_characteristic ON samples (characteristic_id, id);
CREATE UNIQUE INDEX samples_by_key ON samples (characteristic_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX samples_by_external_id ON samples (source, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE violations (
    id                       BIGINT  PRIMARY KEY,
    seq                      BIGINT  NOT NULL,  -- of its event
    sample_id                BIGINT,
    characteristic_id        BIGINT  NOT NULL,
    chart                    TEXT    NOT NULL,
    rule_id                  BIGINT  NOT NULL,
    rule_name                TEXT    NOT NULL,
    severity                 TEXT    NOT NULL,
    message                  TEXT    NOT NULL,
    side                     TEXT,
    value                    DOUBLE PRECISION,
    center_line              DOUBLE PRECISION,
    ucl                      DOUBLE PRECISION,
    lcl                      DOUBLE PRECISION,
    sigma                    DOUBLE PRECISION,
    n                        BIGINT,
    involved_sample_ids      TEXT    NOT NULL,  -- JSON array, oldest first
    at                       BIGINT  NOT NULL,  -- its sample's time
    created_at               BIGINT  NOT NULL,
    requires_acknowledgement BOOLEAN NOT NULL,
    rejudged                 BOOLEAN NOT NULL,
    history                  BOOLEAN NOT NULL,
    source                   TEXT,
    external_id              TEXT,
    external_sample_id       TEXT,
    status                   TEXT    NOT NULL,
    ack_user                 TEXT,
    ack_reason               TEXT,
    ack_comment              TEXT,
    ack_at                   BIGINT,
    ack_source               TEXT,
    UNIQUE (sample_id, chart, rule_id)
);
CREATE INDEX violations_by_characteristic ON violations (characteristic_id, id);
CREATE INDEX violations_open ON violations (characteristic_id, id) WHERE ack_at IS NULL AND status = 'open';
CREATE INDEX violations_unacknowledged ON violations (id) WHERE ack_at IS NULL;
CREATE INDEX violations_by_sample_time ON violations (at);
CREATE UNIQUE INDEX violations_by_external_id ON violations (source, external_id) WHERE external_id IS NOT NULL;

-- Answers to requests that carried an Idempotency-Key; a batch has one for each of its items.
CREATE TABLE idempotency (
    scope     TEXT   NOT NULL,                  -- route and caller
    key       TEXT   NOT NULL,
    part      BIGINT NOT NULL,
    body_hash BYTEA  NOT NULL,
    status    BIGINT NOT NULL,
    answer    TEXT   NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (scope, key, part)
);
CREATE INDEX idempotency_by_time ON idempotency (at);

-- Which events of other systems were taken, and what became of them.
CREATE TABLE foreign_events (
    source       TEXT   NOT NULL,
    id           TEXT   NOT NULL,
    sample_id    BIGINT,
    violation_id BIGINT,
    limits_id    BIGINT,
    seq          BIGINT,
    at           BIGINT NOT NULL,
    PRIMARY KEY (source, id)
);

CREATE TABLE reason_codes (
    position BIGINT PRIMARY KEY,
    name     TEXT   NOT NULL UNIQUE
);
INSERT INTO reason_codes (position, name) VALUES
    (1, 'Tool Change'), (2, 'Raw Material Change'), (3, 'Setup Adjustment'), (4, 'Measurement Error'),
    (5, 'Process Adjustment'), (6, 'Environmental Factor'), (7, 'Operator Error'),
    (8, 'Equipment Malfunction'), (9, 'False Alarm'), (10, 'Under Investigation'), (11, 'Other');
