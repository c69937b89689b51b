"""What leads do with others' work: see who holds and gives back what, take items back, assign them."""
