"""Layers: each a forward pass with its backward rule beside it."""
