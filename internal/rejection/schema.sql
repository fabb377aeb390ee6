-- Version 1. Times are microseconds since 1970, 0 is never. Nothing of a request stands here but what is sealed.

-- What the database is: the key of fingerprints.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- What is known of each source. causes and matches are JSON objects: counts by cause, times by fingerprint.
CREATE TABLE sources (
    name         TEXT    NOT NULL PRIMARY KEY,
    accepted     INTEGER NOT NULL,
    refused      INTEGER NOT NULL,
    dropped      INTEGER NOT NULL,
    unheld       INTEGER NOT NULL,
    evicted      INTEGER NOT NULL,
    last_accept  INTEGER NOT NULL,
    last_refusal INTEGER NOT NULL,
    streak_begin INTEGER NOT NULL,
    streak_count INTEGER NOT NULL,
    causes       TEXT    NOT NULL,
    matches      TEXT    NOT NULL
) WITHOUT ROWID;

-- The newest refusals of each source.
CREATE TABLE rejections (
    source       TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    time         INTEGER NOT NULL,
    cause        TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    forwarded    INTEGER NOT NULL,
    body_bytes   INTEGER NOT NULL,
    header_bytes INTEGER NOT NULL,
    PRIMARY KEY (source, seq)
) WITHOUT ROWID;

-- Refused requests that are held, under the number of their rejection, which they may outlive. bytes is what counts against
-- the limits, sealed is salt, nonce and ciphertext.
CREATE TABLE held (
    seq    INTEGER NOT NULL PRIMARY KEY,
    source TEXT    NOT NULL,
    time   INTEGER NOT NULL,
    cause  TEXT    NOT NULL,
    bytes  INTEGER NOT NULL,
    sealed BLOB    NOT NULL
);

-- bytes is in the index, so that making room reads no page of what it deletes.
CREATE INDEX held_by_source ON held (source, seq, bytes);
