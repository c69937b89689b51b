"""Whether a new model may follow the active one: questions with figures, and the decision. Pure."""
