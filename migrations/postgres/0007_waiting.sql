-- Violations that wait for somebody: few, among open ones that need no answer, which stay open and may be very many.

CREATE INDEX violations_waiting ON violations (characteristic_id, id)
    WHERE ack_at IS NULL AND status = 'open' AND requires_acknowledgement;
