"""What may be promised, and whether it holds: certificates, audits, alarms, the gate."""
