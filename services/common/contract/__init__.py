"""The contract with everybody outside: events, their fields, the policy. Imports pydantic and nothing of ours."""
