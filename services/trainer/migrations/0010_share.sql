-- How much of the content a canary decides, so that its record can be published again.
ALTER TABLE bundle ADD COLUMN share double precision CHECK (share > 0 AND share <= 1);
