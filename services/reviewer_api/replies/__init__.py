"""What a person writes often, kept for them."""
