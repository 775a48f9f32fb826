"""Accuracy with its interval, and the measured experiments."""
