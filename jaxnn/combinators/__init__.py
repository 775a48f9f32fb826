"""Combinators: layers made of layers, whose backward pass follows from theirs."""
