-- What a run lets learn (null: what the trainer is set to), and how often it was started.
ALTER TABLE run ADD COLUMN mode text CHECK (mode IN ('head', 'finetune'));
ALTER TABLE run ADD COLUMN starts integer NOT NULL DEFAULT 0;

-- An attempt that was cut off before it looked at a judgement is not spent. Older ones count as having looked.
ALTER TABLE certification ADD COLUMN looked boolean NOT NULL DEFAULT false;
UPDATE certification SET looked = true;
