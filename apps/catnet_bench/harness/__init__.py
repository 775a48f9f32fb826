"""How a case is timed and reported."""
