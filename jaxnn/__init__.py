"""Neural networks as pure functions, every layer with its backward pass written by hand."""

from jaxnn.activations import gelu, identity, leaky_relu, relu, sigmoid, silu, softplus, tanh
from jaxnn.backprop import hand, value_and_grad, value_and_grad_by_jax
from jaxnn.combinators import parallel, residual, serial
from jaxnn.dense import dense
from jaxnn.dropout import dropout
from jaxnn.flatten import flatten
from jaxnn.gradient_check import check_gradients
from jaxnn.inspection import summary
from jaxnn.layer import Layer, LayerError
from jaxnn.losses import (
    Loss,
    binary_cross_entropy,
    mean_squared_error,
    softmax_cross_entropy,
)
from jaxnn.serialization import ModelFileError, load, save
from jaxnn.training import State, fit, gradient_descent

__all__ = [
    "Layer",
    "LayerError",
    "Loss",
    "ModelFileError",
    "State",
    "binary_cross_entropy",
    "check_gradients",
    "dense",
    "dropout",
    "fit",
    "flatten",
    "gelu",
    "gradient_descent",
    "hand",
    "identity",
    "leaky_relu",
    "load",
    "mean_squared_error",
    "parallel",
    "relu",
    "residual",
    "save",
    "serial",
    "sigmoid",
    "silu",
    "softmax_cross_entropy",
    "softplus",
    "summary",
    "tanh",
    "value_and_grad",
    "value_and_grad_by_jax",
]
