-- The newest figures that the trainer published, as it published them: one row, or none before the first.
CREATE TABLE quality (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    measured_at timestamptz NOT NULL,
    document    json        NOT NULL
);
