-- What every service's schema holds.

-- How far this service has read, stored with the effects of what it read. `epoch` counts the owners of a partition.
CREATE TABLE consumer_position (
    consumer_group text    NOT NULL,
    topic          text    NOT NULL,
    partition      integer NOT NULL,
    next_offset    bigint  NOT NULL DEFAULT 0,
    epoch          bigint  NOT NULL DEFAULT 1,
    PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 50);

-- Records that could not be handled, whole, with the reason. Nothing is ever removed from here by the services.
CREATE TABLE dead_letter (
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    "offset"    bigint      NOT NULL,
    key         text        NOT NULL,
    value       bytea       NOT NULL,
    headers     jsonb       NOT NULL,
    reason      text        NOT NULL,
    detail      text        NOT NULL,
    failed_at   timestamptz NOT NULL,
    requeued_at timestamptz,
    PRIMARY KEY (topic, partition, "offset")
);

-- API keys, by the SHA-256 of the secret. `subject` is the pseudonym that decisions and labels carry.
CREATE TABLE api_key (
    key_id     text        PRIMARY KEY,
    secret     bytea       NOT NULL UNIQUE,
    name       text        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('upstream', 'reviewer', 'lead', 'admin')),
    subject    text        NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz
);
