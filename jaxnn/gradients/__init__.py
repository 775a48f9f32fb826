"""Backpropagation by hand, and the check that proves it."""
