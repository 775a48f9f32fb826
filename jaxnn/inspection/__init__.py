"""Traversal of the layers of a network, and a table of them."""
