-- The delivery ledger: what people are told, to whom, and how it went.

-- Up to where the dispatcher has read the log. What was logged before there was a ledger is told to nobody.
CREATE TABLE notify_cursor (
    seq                 INTEGER NOT NULL
);
INSERT INTO notify_cursor SELECT COALESCE((SELECT seq FROM log_head), 0);

-- What is new about an episode, as it was told: the log forgets it sooner.
CREATE TABLE notices (
    seq                 INTEGER PRIMARY KEY,     -- of its event
    epoch               TEXT    NOT NULL,           -- of the log then: after a restore, the same number may come again
    episode_id          INTEGER NOT NULL,
    characteristic_id   INTEGER NOT NULL,
    change              TEXT    NOT NULL,
    body                TEXT    NOT NULL,           -- JSON
    at                  INTEGER NOT NULL,        -- when the dispatcher took it
    deliveries          INTEGER NOT NULL         -- rows made for it; 0: no route matched
);
CREATE INDEX notices_by_episode ON notices (episode_id, seq);
CREATE INDEX notices_by_time ON notices (at);

CREATE TABLE deliveries (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    seq                 INTEGER NOT NULL REFERENCES notices (seq),
    episode_id          INTEGER NOT NULL,
    receiver            TEXT    NOT NULL,           -- its name in the settings
    recipient           TEXT    NOT NULL,           -- an address of the receiver; empty: it has no several
    step                INTEGER NOT NULL,        -- of the escalation; 0: the first
    state               TEXT    NOT NULL,
    reason              TEXT,                       -- why it ended like that
    attempts            INTEGER NOT NULL,        -- begun
    due_at              INTEGER,                 -- the next one, or the end of the lease; NULL: it is over, or waits behind another
    useful_until        INTEGER NOT NULL,
    ended_at            INTEGER
);
CREATE UNIQUE INDEX deliveries_once ON deliveries (seq, receiver, recipient, step);
CREATE INDEX deliveries_due ON deliveries (receiver, due_at, id) WHERE due_at IS NOT NULL;
-- The only one over what is not over: an index that is small for a planner's old statistics would be taken for anything.
CREATE INDEX deliveries_waiting ON deliveries (episode_id, receiver, recipient, id) WHERE ended_at IS NULL;

CREATE TABLE delivery_attempts (
    delivery_id         INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    number              INTEGER NOT NULL,
    started_at          INTEGER NOT NULL,
    duration_micros     INTEGER,                 -- NULL: under way, or its process ended
    outcome             TEXT,
    detail              TEXT,                       -- what the receiver answered, or the error
    PRIMARY KEY (delivery_id, number)
) WITHOUT ROWID;

-- Few events are about episodes: the dispatcher passes over all others.
CREATE INDEX events_of_episodes ON events (seq) WHERE type = 'episode';
