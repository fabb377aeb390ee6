-- Version 3. Outcomes are listed and found by what they say, become due, and are removed.

-- Who told it, for counting what is kept of a source, and by what its outcome is found: keyed hashes of 16 bytes.
ALTER TABLE contributions ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE contributions ADD COLUMN addresses BLOB NOT NULL DEFAULT x'';

-- previous is the position of the outcome's revision before, 0 when there is none, -1 when that was not written down. kind is 0 for
-- a revision, 1 for one that says that its outcome was deleted, and 2 for an entry that was removed: it has nothing left but its
-- position, its time, and as its body the checksum that cursors know it by.
ALTER TABLE log ADD COLUMN previous INTEGER NOT NULL DEFAULT -1;
ALTER TABLE log ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;

-- The keys of the newest revision, and all addresses of the contributions. deleted tells that nothing is left but the row, listed
-- that it has a revision and is not deleted. The rows have become wide, so they stand in the order in which they came, and their
-- random ids in an index of their own.
CREATE TABLE outcomes_3 (
    id               BLOB    NOT NULL PRIMARY KEY,
    revision         INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    first_position   INTEGER NOT NULL,
    contribution     INTEGER NOT NULL,
    checksum         INTEGER NOT NULL,
    provider_call_id TEXT    NOT NULL,
    external_ids     BLOB    NOT NULL,
    time             INTEGER NOT NULL DEFAULT 0,
    due              INTEGER NOT NULL DEFAULT 0,
    deleted          INTEGER NOT NULL DEFAULT 0,
    provider         TEXT    NOT NULL DEFAULT '',
    source           TEXT    NOT NULL DEFAULT '',
    status           INTEGER NOT NULL DEFAULT 0,
    completeness     INTEGER NOT NULL DEFAULT 0,
    disposition      INTEGER NOT NULL DEFAULT 0,
    do_not_call      INTEGER NOT NULL DEFAULT 0,
    listed           INTEGER NOT NULL DEFAULT 0,
    addresses        BLOB    NOT NULL DEFAULT x''
);
INSERT INTO outcomes_3 (id, revision, position, first_position, contribution, checksum, provider_call_id, external_ids)
    SELECT id, revision, position, first_position, contribution, checksum, provider_call_id, external_ids FROM outcomes
    ORDER BY first_position;
DROP TABLE outcomes;
ALTER TABLE outcomes_3 RENAME TO outcomes;

CREATE INDEX outcomes_by_provider_call_id ON outcomes (provider_call_id) WHERE provider_call_id <> '';

-- Outcomes as they are listed, with what they are filtered by: a list reads nothing else of those that do not pass.
CREATE INDEX outcomes_by_time ON outcomes
    (listed, time, first_position, provider, source, status, completeness, disposition, do_not_call, id);

-- Those who asked never to be called again are few among many.
CREATE INDEX outcomes_do_not_call ON outcomes (time, first_position) WHERE do_not_call = 1 AND listed = 1;

CREATE INDEX outcomes_due ON outcomes (due) WHERE due > 0;

-- The outcomes of a source by their newest revisions: so they are trimmed.
CREATE INDEX outcomes_by_source ON outcomes (source, position) WHERE position > 0;

-- Outcomes by addresses, as they are listed. It needs no checksum: the outcome's row has the addresses again.
CREATE TABLE addresses (
    address        BLOB    NOT NULL,
    time           INTEGER NOT NULL,
    first_position INTEGER NOT NULL,
    outcome        BLOB    NOT NULL,
    PRIMARY KEY (address, time, first_position)
) WITHOUT ROWID;

CREATE INDEX deliveries_by_source ON deliveries (source);

-- Deliveries that contribute nothing, or of which something waits.
CREATE INDEX deliveries_silent ON deliveries (seq) WHERE contributions = 0 OR waiting = 1;
CREATE INDEX deliveries_silent_by_source ON deliveries (source) WHERE contributions = 0;

-- How many bytes are kept of each source. It needs no checksum: they can be counted again.
CREATE TABLE usage (
    source TEXT    NOT NULL PRIMARY KEY,
    bytes  INTEGER NOT NULL
) WITHOUT ROWID;

-- Up to where each source was trimmed, and by the how-manieth trim of all.
CREATE TABLE horizons (
    source   TEXT    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL,
    trims    INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;

-- Where readers are who leave that to the store. cursor is a cursor's text.
CREATE TABLE subscriptions (
    name        TEXT    NOT NULL PRIMARY KEY,
    owner       TEXT    NOT NULL,
    filter      BLOB    NOT NULL,
    cursor      TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    create_time INTEGER NOT NULL,
    move_time   INTEGER NOT NULL,
    checksum    INTEGER NOT NULL
) WITHOUT ROWID;
