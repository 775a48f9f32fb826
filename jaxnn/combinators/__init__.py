"""Layers in, a layer out: each with the backward pass that follows from theirs."""
