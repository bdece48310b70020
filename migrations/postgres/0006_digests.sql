-- Digests: deliveries that are told in one message.

ALTER TABLE deliveries ADD COLUMN digest BIGINT; -- the first of them, also for itself; NULL: it is told alone
CREATE INDEX deliveries_by_digest ON deliveries (digest) WHERE digest IS NOT NULL;
CREATE INDEX deliveries_untried ON deliveries (receiver, recipient, id) WHERE state = 'pending' AND attempts = 0;

-- The dispatcher looks at these again and again, and reminders may be many.
CREATE INDEX deliveries_steps ON deliveries (seq) WHERE state = 'scheduled' AND step > 0;
