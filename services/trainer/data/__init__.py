"""What people said, and what is learned and measured on."""
