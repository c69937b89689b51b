"""What at least two services share. Imports no service."""
