-- A bundle that was only just stored is `stored`; `refused` now means that the gate, the guard or a person kept it out.
--   stored ─▶ shadow ─▶ canary ─▶ active ─▶ retired     (stages may be left out; services/trainer/stages.py draws them)
--      └─▶ refused ◀──────┘ a step back
-- Older rows stay as they are: until now both were called `refused`.
ALTER TABLE bundle DROP CONSTRAINT bundle_stage_check;
ALTER TABLE bundle ADD CONSTRAINT bundle_stage_check
    CHECK (stage IN ('stored', 'refused', 'shadow', 'canary', 'active', 'retired'));

-- No run was ever asked for by an alarm: what audits refute is switched off without one.
UPDATE run SET reason = 'certify' WHERE reason = 'alarm';
ALTER TABLE run DROP CONSTRAINT run_reason_check;
ALTER TABLE run ADD CONSTRAINT run_reason_check
    CHECK (reason IN ('first', 'policy', 'labels', 'schedule', 'manual', 'certify'));
