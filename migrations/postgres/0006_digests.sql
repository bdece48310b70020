-- Digests: deliveries that are told in one message.

ALTER TABLE deliveries ADD COLUMN digest BIGINT; -- the first of them, also for itself; NULL: it is told alone
CREATE INDEX deliveries_by_digest ON deliveries (digest) WHERE digest IS NOT NULL;
