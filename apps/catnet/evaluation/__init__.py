"""How good a model is, and why it answers what it answers."""
