"""What the HTTP entrance works with."""
