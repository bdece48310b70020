-- Steps of an escalation: stored with the notice, and due later, unless somebody answers before.

ALTER TABLE deliveries ADD COLUMN not_before BIGINT;  -- NULL: it was due at once
ALTER TABLE deliveries ADD COLUMN route BIGINT NOT NULL DEFAULT 0; -- of the settings then: whose step it is
CREATE INDEX deliveries_scheduled ON deliveries (not_before) WHERE state = 'scheduled';

-- Why it goes to whom, as a JSON array with a sentence for each route; NULL: it was taken before that was kept.
ALTER TABLE notices ADD COLUMN routes TEXT;
