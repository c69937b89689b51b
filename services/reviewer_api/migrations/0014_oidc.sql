-- Who an account is at an identity provider. Nobody is found by name or address: they can be given to others.
CREATE TABLE account_identity (
    issuer     text        NOT NULL,
    subject    text        NOT NULL,
    account_id uuid        NOT NULL REFERENCES account,
    linked_at  timestamptz NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX account_identity_of ON account_identity (account_id);

-- Sign-ins that were sent to the provider and are not back yet, by the SHA-256 of their state and of the browser's cookie.
CREATE TABLE oidc_login (
    state    bytea       PRIMARY KEY,
    browser  bytea       NOT NULL,
    nonce    text        NOT NULL,
    verifier text        NOT NULL,
    goes_to  text        NOT NULL,
    made_at  timestamptz NOT NULL
);
CREATE INDEX oidc_login_made ON oidc_login (made_at);
