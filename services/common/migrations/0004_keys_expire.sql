-- Keys may end by themselves, and say when they were last used. NULL: never.
ALTER TABLE api_key ADD COLUMN expires_at timestamptz, ADD COLUMN last_used_at timestamptz;
-- More roles. `upstream` and `reviewer` are what `service` and `moderator` were called before; stored keys keep them.
ALTER TABLE api_key DROP CONSTRAINT api_key_role_check;
ALTER TABLE api_key ADD CONSTRAINT api_key_role_check CHECK (
    role IN ('service', 'moderator', 'lead', 'policy_owner', 'auditor', 'admin', 'upstream', 'reviewer'));
