-- The bundle of a run, written down before it is stored. If the run ends, or is cut off, and `bundle` has no such row,
-- what was stored is removed; `bundle_created_at` tells it from what another deployment may have stored there.
ALTER TABLE run ADD COLUMN bundle_version text;
ALTER TABLE run ADD COLUMN bundle_created_at timestamptz;
ALTER TABLE run ADD CHECK ((bundle_version IS NULL) = (bundle_created_at IS NULL));

-- Which embeddings a bundle needs. Unknown of bundles older than this.
ALTER TABLE bundle ADD COLUMN encoder_sha256 text;
