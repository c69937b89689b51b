-- People who sign in. `subject` is the pseudonym that decisions and labels carry; name and username stay in here.
CREATE TABLE account (
    account_id  uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    username    text        NOT NULL UNIQUE,  -- folded: see accounts/names.py
    name        text        NOT NULL,
    role        text        NOT NULL CHECK (role IN ('moderator', 'lead', 'policy_owner', 'auditor', 'admin')),
    subject     text        NOT NULL UNIQUE,
    password    text,  -- argon2id, encoded; null until one is set
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz
);

-- Links that sign in once, by the SHA-256 of their token.
CREATE TABLE login_link (
    token      bytea       PRIMARY KEY,
    account_id uuid        NOT NULL REFERENCES account,
    made_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX login_link_of ON login_link (account_id);

-- Who is signed in, by the SHA-256 of the cookie's token. `seen_at` lags up to a minute behind.
CREATE TABLE session (
    token      bytea       PRIMARY KEY,
    account_id uuid        NOT NULL REFERENCES account,
    created_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL,
    ends_at    timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX session_of ON session (account_id);

-- Failed tries of the last minutes, by what they are counted by: a username or an address.
CREATE TABLE failed_login (
    counted_by text        NOT NULL,
    failed_at  timestamptz NOT NULL
);
CREATE INDEX failed_login_recent ON failed_login (counted_by, failed_at);
