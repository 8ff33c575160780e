-- The node's journal: one row a commit, holding all records of that commit.
CREATE TABLE node (
    number BIGINT PRIMARY KEY
);

CREATE TABLE record_groups (
    first_sequence BIGINT PRIMARY KEY,
    last_sequence BIGINT NOT NULL,
    committed_ms BIGINT NOT NULL,
    -- Each record behind its length, four bytes big-endian.
    records BLOB NOT NULL,
    -- SHA-256 of the former row's hash and this row; see switch/store/src/journal/chain.rs.
    hash BLOB NOT NULL
);

-- Written and emptied to find out whether there is room again after a failed commit.
CREATE TABLE probe (
    padding BLOB NOT NULL
);
