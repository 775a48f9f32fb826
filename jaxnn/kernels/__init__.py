"""Fast forms of the array work that layers do, on XLA's CPU backend."""
