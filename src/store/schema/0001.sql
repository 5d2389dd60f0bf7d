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
    open        BLOB,                              -- open turns, 40 bytes each (see `life.rs`)
    crc         INTEGER NOT NULL,
    platform    TEXT GENERATED ALWAYS AS (substr(key, 1, instr(key || '/', '/') - 1)) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX sessions_by_id ON sessions (id);
CREATE INDEX sessions_by_platform ON sessions (platform);
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

CREATE TABLE tombstones (
    id          TEXT NOT NULL PRIMARY KEY,
    incarnation INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    at          INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    crc         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_until ON tombstones (until);
