-- What a run lets learn; null: what the trainer is set to.
ALTER TABLE run ADD COLUMN mode text CHECK (mode IN ('head', 'finetune'));
