-- The city: who and what is in it, and what it gives.
--
-- One text for SQLite and PostgreSQL. Whole numbers are BIGINT on both. Bytes are BYTEA: PostgreSQL's
-- name, and to SQLite just a name, under which it keeps a blob as it is. Words are the city folder's
-- own, so that a person with a SQL prompt reads what the files say.
--
-- `revision` says which change wrote a row last; every change takes the next number (see counters) and
-- holds it until it is committed, so revisions become visible in their order. A reader that has seen
-- everything up to N asks for what is above N and misses nothing.

-- Numbers that only count up. Whoever writes city rows raises 'revision' first, which also makes
-- writers wait for each other where the database itself would let them run side by side.
CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revision', 0);
-- The next holder's number. Its own counter, not the table's maximum plus one: a number is never
-- given again, even if its holder's row should one day be deleted.
INSERT INTO counters (name, value) VALUES ('holder_no', 0);

-- What this store is: check values of the keys it was filled under.
CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

CREATE TABLE holders (
    holder_no BIGINT PRIMARY KEY NOT NULL,
    holder_id TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    star BIGINT NOT NULL,
    status TEXT NOT NULL,
    name TEXT NOT NULL,
    id_no TEXT NOT NULL,
    -- 1 where a 统一社会信用代码 fails its own check: such codes exist, somebody should look.
    id_flagged BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX holders_by_revision ON holders (revision);

CREATE TABLE cards (
    -- HMAC-SHA-256 of the card number: the number itself is nowhere.
    pan_key BYTEA PRIMARY KEY NOT NULL,
    bin BIGINT NOT NULL,
    last4 BIGINT NOT NULL,
    holder_no BIGINT NOT NULL,
    status TEXT NOT NULL,
    -- Months since January of year 0; the last in which the card is good.
    expires_month BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX cards_by_revision ON cards (revision);

CREATE TABLE merchants (
    merchant_id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    mcc TEXT NOT NULL,
    circle TEXT NOT NULL,
    region TEXT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE terminals (
    terminal_id TEXT PRIMARY KEY NOT NULL,
    merchant_id TEXT NOT NULL,
    profile TEXT NOT NULL,
    mac TEXT NOT NULL,
    scope TEXT NOT NULL,
    -- The terminal master key under the deployment's master key; see switch/store/src/vault.rs.
    tmk_wrapped BYTEA NOT NULL,
    revision BIGINT NOT NULL
);

-- Rule-book versions count up from 1; version 0 is the empty book before the first import.
CREATE TABLE rule_books (
    version BIGINT PRIMARY KEY NOT NULL,
    made_ms BIGINT NOT NULL,
    -- SHA-256 of all its benefits as text, in hexadecimal.
    digest TEXT NOT NULL
);

-- Every form a benefit ever had. Version V is made of the rows with since_version <= V and
-- until_version > V, or no until_version: what holds now.
CREATE TABLE benefits (
    benefit_id BIGINT NOT NULL,
    since_version BIGINT NOT NULL,
    until_version BIGINT,
    provider TEXT NOT NULL,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    service TEXT NOT NULL,
    audience TEXT NOT NULL,
    s1 BIGINT NOT NULL,
    s2 BIGINT NOT NULL,
    s3 BIGINT NOT NULL,
    s4 BIGINT NOT NULL,
    s5 BIGINT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_to TEXT NOT NULL,
    weekdays TEXT NOT NULL,
    hours TEXT NOT NULL,
    min_amount BIGINT,
    max_off BIGINT,
    budget BIGINT,
    per_day BIGINT,
    per_month BIGINT,
    per_holder BIGINT,
    benefit_group TEXT NOT NULL,
    stack TEXT NOT NULL,
    legal_basis TEXT NOT NULL,
    bearer TEXT NOT NULL,
    PRIMARY KEY (benefit_id, since_version)
);

-- Where each terminal of `xingka swipe` is in its trace numbers.
CREATE TABLE terminal_counters (
    terminal_id TEXT PRIMARY KEY NOT NULL,
    stan BIGINT NOT NULL
);

-- Signed heads of the nodes' journals, kept apart from them; see switch/store/src/journal/anchor.rs.
CREATE TABLE anchors (
    node BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    hash TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    mac TEXT NOT NULL,
    PRIMARY KEY (node, sequence)
);
