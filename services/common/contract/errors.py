"""The errors of the contract, and the base of all others; `secondlook.common.errors` draws the whole tree."""


class SecondLookError(Exception):
    """Base of every error that Second Look raises on purpose."""


class PolicyRejected(SecondLookError):
    """A policy document is unreadable, contradicts itself, or may not be published."""
