-- Numbers are unsigned in the library and stored as the signed number with the same bits; times are
-- milliseconds since the Unix epoch. `crc` is the CRC-32 of the row's other columns (see `row.rs`).

CREATE TABLE sessions (
    incarnation INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again, not even after a delete
    id          TEXT NOT NULL,
    key         TEXT,
    label       TEXT,
    created_at  INTEGER NOT NULL,
    active_at   INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    next_seq    INTEGER NOT NULL,
    entries     INTEGER NOT NULL,
    open        BLOB,                              -- open turns, 56 bytes each (see `life.rs`)
    traits      TEXT,                              -- what most have none of, JSON (see `traits.rs`)
    crc         INTEGER NOT NULL,
    lane        TEXT,                              -- where it is found when its time may be over,
    lane_at     INTEGER,                           -- which follows from the rest (see `lane.rs`)
    platform    TEXT GENERATED ALWAYS AS (substr(key, 1, instr(key || '/', '/') - 1)) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX sessions_by_id ON sessions (id);
CREATE INDEX sessions_by_platform ON sessions (platform);
CREATE INDEX sessions_by_rest ON sessions (lane, lane_at) WHERE lane IS NOT NULL;
CREATE INDEX sessions_by_age ON sessions (lane, created_at) WHERE lane IS NOT NULL;
CREATE INDEX sessions_in_no_lane ON sessions (incarnation) WHERE lane IS NULL;
CREATE INDEX sessions_replying ON sessions (incarnation) WHERE open IS NOT NULL;

-- In order of arrival: a batch for many sessions fills one page, not a page of each.
CREATE TABLE entries (
    incarnation INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    generation  INTEGER,
    mark        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    payload     BLOB NOT NULL,
    crc         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX entries_by_seq ON entries (incarnation, seq);

CREATE TABLE data (
    incarnation INTEGER NOT NULL,
    name        TEXT NOT NULL,
    value       BLOB NOT NULL,
    crc         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX data_by_name ON data (incarnation, name);

-- The primary key is what holds a turn to one outcome.
CREATE TABLE turns (
    incarnation INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    outcome     TEXT NOT NULL,
    settled_at  INTEGER NOT NULL,
    crc         INTEGER NOT NULL,
    PRIMARY KEY (incarnation, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE bindings (
    key         TEXT NOT NULL PRIMARY KEY,
    id          TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bindings_by_life ON bindings (incarnation);

-- The ids that a life was given after the one in `sessions`; the one with the highest place is the one
-- that it is told by.
CREATE TABLE later_ids (
    id          TEXT NOT NULL PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    place       INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX later_ids_by_place ON later_ids (incarnation, place);

CREATE TABLE tombstones (
    id          TEXT NOT NULL PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_until ON tombstones (until);

-- What turns have said that have not committed a reply, piece by piece in order of arrival.
CREATE TABLE partials (
    incarnation INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    first       INTEGER NOT NULL,
    chunks      INTEGER NOT NULL,
    text        BLOB NOT NULL,
    crc         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX partials_by_first ON partials (incarnation, generation, first);

-- What was taken out of a transcript. The entries stay where they are: who reads a transcript leaves
-- out those that lie in an interval, and each belongs to the earliest one that covers it.
CREATE TABLE revisions (
    incarnation INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    from_seq    INTEGER NOT NULL,
    to_seq      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    crc         INTEGER NOT NULL,
    PRIMARY KEY (incarnation, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX revisions_by_at ON revisions (at, incarnation);

CREATE TABLE requests (
    incarnation INTEGER NOT NULL,
    key         TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    digest      BLOB NOT NULL,                     -- 16 bytes, big endian
    at          INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX requests_by_key ON requests (incarnation, key);
CREATE INDEX requests_by_at ON requests (at, incarnation);

-- The runs of the process, the newest last. One that has no mark was not ended in good order.
CREATE TABLE runs (
    number      INTEGER PRIMARY KEY,
    instance    BLOB NOT NULL,                     -- 16 bytes, big endian
    started_at  INTEGER NOT NULL,
    stopped_at  INTEGER,
    finished    INTEGER NOT NULL,                  -- how the turns ended that ran then
    cancelled   INTEGER NOT NULL,
    aborted     INTEGER NOT NULL,
    fenced      INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT;
-- What is kept of the handles of one outside service. Without a handle, its columns are null.
CREATE TABLE resume (
    incarnation INTEGER NOT NULL,
    provider    TEXT NOT NULL,
    value       TEXT,
    stored_at   INTEGER,
    used_at     INTEGER,
    attempts    INTEGER,
    refused     BLOB,                              -- refused values, 24 bytes each (see `resume.rs`)
    refused_at  INTEGER,                           -- of the newest
    crc         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX resume_by_provider ON resume (incarnation, provider);
CREATE INDEX resume_by_use ON resume (used_at, incarnation, provider) WHERE used_at IS NOT NULL;
CREATE INDEX resume_by_refusal ON resume (refused_at, incarnation, provider)
    WHERE refused_at IS NOT NULL;

CREATE TABLE branches (
    incarnation INTEGER NOT NULL,
    generation  INTEGER NOT NULL,
    parent      INTEGER NOT NULL,
    crc         INTEGER NOT NULL,
    PRIMARY KEY (incarnation, generation)
) STRICT, WITHOUT ROWID;
