-- What people asked this service to do, over the bus, and it has answered: a request is answered once.
CREATE TABLE answered_operation (
    operation_id uuid        PRIMARY KEY,
    answered_at  timestamptz NOT NULL
);
