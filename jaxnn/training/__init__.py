"""Gradient descent and minibatch training."""
