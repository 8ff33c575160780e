-- When somebody last asked for new session keys, in milliseconds since 1970: a terminal whose keys are
-- older is told to sign in again.
ALTER TABLE terminals ADD COLUMN new_keys_ms BIGINT NOT NULL DEFAULT 0;
