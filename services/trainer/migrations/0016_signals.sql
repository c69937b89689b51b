-- What other classifiers said of an item, name → number in [0, 1]; NULL where nothing is known of any.
ALTER TABLE label ADD COLUMN signals jsonb;
ALTER TABLE label_of_another_text ADD COLUMN signals jsonb;
ALTER TABLE asked ADD COLUMN signals jsonb;
