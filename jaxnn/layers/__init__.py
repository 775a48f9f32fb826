"""Layers: each file has a forward pass and the hand-written backward pass beside it."""
