-- Version 5. What is kept anew is found by memory at first, and put into the indexes of random keys in batches: so many share a page that
-- each would dirty alone. The newest deliveries may be missing in delivery_ids, and an older program would keep their repetitions.

-- Whether the outcome is found by its provider_call_id. Like listed, it stands in the row for the index alone.
ALTER TABLE outcomes ADD COLUMN found INTEGER NOT NULL DEFAULT 1;

DROP INDEX outcomes_by_provider_call_id;
CREATE INDEX outcomes_by_provider_call_id ON outcomes (provider_call_id) WHERE provider_call_id <> '' AND found = 1;
CREATE INDEX outcomes_fresh ON outcomes (found) WHERE found = 0;
