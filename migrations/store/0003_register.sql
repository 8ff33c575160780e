-- The register: which records stand, on however many nodes; see switch/core/src/register.rs.

-- The deployment's nodes, and how far each one's journal has been taken in.
CREATE TABLE nodes (
    node BIGINT PRIMARY KEY NOT NULL,
    shipped BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('node', 0);

-- Where each terminal's requests are decided, and the batch that they must carry.
CREATE TABLE homes (
    terminal_id TEXT PRIMARY KEY NOT NULL,
    node BIGINT NOT NULL,
    -- Counts the terminal's moves; records of one stay are in the order of their sequences.
    stay BIGINT NOT NULL,
    open_batch BIGINT NOT NULL
);

-- The journals' commits: what their hash chains are made of, but for the records themselves.
CREATE TABLE record_groups (
    node BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    committed_ms BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (node, first_sequence)
);

-- Every record of every node. What it is filed under is taken from the record itself.
CREATE TABLE records (
    node BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    terminal_id TEXT NOT NULL,
    -- Its request; of sign-ins and sign-offs batch and stan 0 and mti 800, of withdrawals mti 0.
    merchant_id TEXT NOT NULL,
    batch BIGINT NOT NULL,
    stan BIGINT NOT NULL,
    mti BIGINT NOT NULL,
    -- See homes.
    stay BIGINT NOT NULL,
    -- 1 stands; 0 did, and was withdrawn; 2 its terminal had moved; 3 what it used up was exhausted;
    -- 4 its request had been answered elsewhere.
    standing BIGINT NOT NULL,
    -- 1 where it moved or used something, or is needed as long as its batch is.
    lasting BIGINT NOT NULL,
    -- 1 where a reversal or a batch upload's end undid it.
    undone BIGINT NOT NULL,
    holder_no BIGINT,
    at_ms BIGINT NOT NULL,
    -- Of a refund, the purchase and how much.
    of_terminal TEXT,
    of_batch BIGINT,
    of_stan BIGINT,
    of_mti BIGINT,
    refunded BIGINT,
    record BYTEA NOT NULL,
    PRIMARY KEY (node, sequence)
);
-- One request has one answer; only reversals may come again with other content, and add nothing.
CREATE UNIQUE INDEX records_by_request ON records (merchant_id, batch, stan, terminal_id, mti)
    WHERE standing = 1 AND mti NOT IN (0, 400, 800);
CREATE INDEX records_by_terminal ON records (terminal_id, batch, stay, sequence);
CREATE INDEX records_by_holder ON records (holder_no, at_ms) WHERE holder_no IS NOT NULL;
CREATE INDEX records_by_purchase ON records (of_terminal, of_batch) WHERE of_terminal IS NOT NULL;

-- What each holder has used of each benefit: the two latest days (since 1970-01-01) and months (since
-- January of year 0) with their counts, and in all.
CREATE TABLE uses (
    holder_no BIGINT NOT NULL,
    benefit_id BIGINT NOT NULL,
    day_1 BIGINT,
    count_1 BIGINT NOT NULL,
    day_2 BIGINT,
    count_2 BIGINT NOT NULL,
    month_1 BIGINT,
    month_count_1 BIGINT NOT NULL,
    month_2 BIGINT,
    month_count_2 BIGINT NOT NULL,
    ever BIGINT NOT NULL,
    PRIMARY KEY (holder_no, benefit_id)
);

-- What each benefit has taken off, in fen.
CREATE TABLE budgets (
    benefit_id BIGINT PRIMARY KEY NOT NULL,
    spent BIGINT NOT NULL
);
