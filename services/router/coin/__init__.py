"""The audit coin, keyed by a secret of the deployment that nothing shows."""
