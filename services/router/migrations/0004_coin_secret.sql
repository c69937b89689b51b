-- What keys the audit coin: 32 random bytes, made by the first router that starts. No view promises it and no API shows
-- it. Without it nobody can tell which items are audited; who replaces it flips other coins from then on.
CREATE TABLE coin_secret (
    only_row boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    secret   bytea       NOT NULL CHECK (octet_length(secret) = 32),
    made_at  timestamptz NOT NULL DEFAULT now()
);
