"""How labelling tools and well-known data sets lay out their rows. Pure."""
