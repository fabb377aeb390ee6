-- Version 1. Plain SQL on purpose: the PostgreSQL twin differs in the names of types and in WITHOUT ROWID.
--
-- What grows with every delivery is either appended at the end of its table or is a narrow row under a random key: a wide
-- row under a random key would dirty a page of its own in every commit. Times are microseconds since 1970. checksum is a
-- CRC-32C over all other columns of the row. encoding tells how body is stored: 0 as it came, 1 as a zstd frame, 3 as an S2
-- block (since version 4).

-- What the store is: its keys and names.
CREATE TABLE meta (
    name     TEXT    NOT NULL PRIMARY KEY,
    value    BLOB    NOT NULL,
    checksum INTEGER NOT NULL
) WITHOUT ROWID;

-- Where the store ends: the last position, its entry's checksum and time, the last delivery and the last contribution. One
-- row, updated by every commit, so that numbers are never given twice, whatever is deleted.
CREATE TABLE head (
    id           INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    position     INTEGER NOT NULL,
    entry        INTEGER NOT NULL,
    time         INTEGER NOT NULL,
    delivery     INTEGER NOT NULL,
    contribution INTEGER NOT NULL,
    checksum     INTEGER NOT NULL
);

-- Which deliveries were kept. Apart from deliveries because it outlives them. It needs no checksum: the delivery names its id.
CREATE TABLE delivery_ids (
    id  BLOB    NOT NULL PRIMARY KEY,
    seq INTEGER NOT NULL
) WITHOUT ROWID;

-- Deliveries in the order of their commits. Their contributions have consecutive numbers.
CREATE TABLE deliveries (
    seq                INTEGER NOT NULL PRIMARY KEY,
    id                 BLOB    NOT NULL,
    delivery_key       BLOB    NOT NULL,
    first_contribution INTEGER NOT NULL,
    contributions      INTEGER NOT NULL,
    receive_time       INTEGER NOT NULL,
    state              INTEGER NOT NULL,
    encoding           INTEGER NOT NULL,
    checksum           INTEGER NOT NULL,
    source             TEXT    NOT NULL,
    adapter            TEXT    NOT NULL,
    provider           TEXT    NOT NULL,
    event              TEXT    NOT NULL,
    method             TEXT    NOT NULL,
    path               TEXT    NOT NULL,
    query              TEXT    NOT NULL,
    header             BLOB    NOT NULL,
    report             BLOB    NOT NULL,
    body               BLOB    NOT NULL
);

-- Contributions in the order in which they were kept. previous is the one before it to the same outcome, or 0: a chain
-- instead of an index, because the outcome's row, where the chain begins, is written anyway.
CREATE TABLE contributions (
    id       INTEGER NOT NULL PRIMARY KEY,
    delivery BLOB    NOT NULL,
    outcome  BLOB    NOT NULL,
    item     INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    encoding INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    body     BLOB    NOT NULL
);

-- Outcomes with their newest revision, its position and the position of their first, all 0 before there is one, and their
-- newest contribution. provider_call_id and external_ids are the newest revision's.
CREATE TABLE outcomes (
    id               BLOB    NOT NULL PRIMARY KEY,
    revision         INTEGER NOT NULL,
    position         INTEGER NOT NULL,
    first_position   INTEGER NOT NULL,
    contribution     INTEGER NOT NULL,
    checksum         INTEGER NOT NULL,
    provider_call_id TEXT    NOT NULL,
    external_ids     BLOB    NOT NULL
) WITHOUT ROWID;

CREATE INDEX outcomes_by_provider_call_id ON outcomes (provider_call_id) WHERE provider_call_id <> '';

-- Outcomes by the external ids of their newest revisions, in the order of their first ones. It needs no checksum: the
-- outcome's row lists them again.
CREATE TABLE external_ids (
    system         TEXT    NOT NULL,
    id             TEXT    NOT NULL,
    first_position INTEGER NOT NULL,
    outcome        BLOB    NOT NULL,
    PRIMARY KEY (system, id, first_position)
) WITHOUT ROWID;

-- The log of revisions, without gaps. The body is stored as it came: readers take it through as it is.
CREATE TABLE log (
    position     INTEGER NOT NULL PRIMARY KEY,
    outcome      BLOB    NOT NULL,
    revision     INTEGER NOT NULL,
    time         INTEGER NOT NULL,
    status       INTEGER NOT NULL,
    completeness INTEGER NOT NULL,
    checksum     INTEGER NOT NULL,
    provider     TEXT    NOT NULL,
    source       TEXT    NOT NULL,
    body         BLOB    NOT NULL
);
