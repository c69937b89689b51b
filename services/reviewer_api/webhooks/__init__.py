"""Webhooks: decisions sent to upstream's own addresses, signed, in order a piece of content, until they arrive."""
