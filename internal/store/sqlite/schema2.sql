-- Version 2. What proved the origin of a delivery, and whether it waits for somebody. signed is a list of texts.
ALTER TABLE deliveries ADD COLUMN verified_by TEXT NOT NULL DEFAULT '';
ALTER TABLE deliveries ADD COLUMN signed BLOB NOT NULL DEFAULT x'';
ALTER TABLE deliveries ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;

-- Deliveries that wait, in their order. The others have no place in it, and cost nothing.
CREATE INDEX deliveries_waiting ON deliveries (waiting, seq, source) WHERE waiting = 1;
