-- Silences: for a while nobody is told of some processes. What they hold back stands in the delivery ledger.

CREATE TABLE silences (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    characteristic_ids  TEXT    NOT NULL,           -- JSON arrays; empty: any
    groups              TEXT    NOT NULL,
    tags                TEXT    NOT NULL,
    receivers           TEXT    NOT NULL,
    max_severity        TEXT,                       -- NULL: any
    reason              TEXT    NOT NULL,
    author              TEXT    NOT NULL,
    created_at          INTEGER NOT NULL,
    ends_at             INTEGER NOT NULL,
    ended_by            TEXT                        -- before its time
);
CREATE INDEX silences_by_end ON silences (ends_at);

ALTER TABLE deliveries ADD COLUMN silence_id INTEGER;          -- that holds it back, or did
ALTER TABLE deliveries ADD COLUMN reminder INTEGER NOT NULL DEFAULT 0; -- of those of its notice and step; 0: it is none
ALTER TABLE deliveries ADD COLUMN remind_after INTEGER;        -- and again after so long, until somebody answers
ALTER TABLE notices ADD COLUMN severity TEXT;                  -- of the episode then; NULL: it was taken before that was kept

DROP INDEX deliveries_once;
CREATE UNIQUE INDEX deliveries_once ON deliveries (seq, receiver, recipient, step, reminder);
CREATE INDEX deliveries_silenced ON deliveries (silence_id) WHERE silence_id IS NOT NULL;
