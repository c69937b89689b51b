-- Items that measure (gold, certify) get a second judgement by lot, whatever was said of them: no answer looks wrong.
ALTER TABLE second_look ADD COLUMN by_lot boolean NOT NULL DEFAULT false;
ALTER TABLE second_look ALTER COLUMN label DROP NOT NULL;
ALTER TABLE second_look ALTER COLUMN given DROP NOT NULL;
ALTER TABLE second_look ALTER COLUMN score DROP NOT NULL;
ALTER TABLE second_look ADD CHECK (by_lot = (label IS NULL) AND by_lot = (given IS NULL) AND by_lot = (score IS NULL));
