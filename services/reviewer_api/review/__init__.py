"""Reviews: what people are asked, what they answer, and when an answer becomes a decision."""
