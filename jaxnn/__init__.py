"""Neural networks as pure functions, every layer with its backward pass written by hand."""

from jaxnn.activations import gelu, identity, leaky_relu, relu, sigmoid, silu, softplus, tanh
from jaxnn.backprop import hand, value_and_grad, value_and_grad_by_jax
from jaxnn.combinators.parallel import each, parallel
from jaxnn.combinators.scan import scan
from jaxnn.combinators.serial import residual, serial
from jaxnn.combinators.tied import tied
from jaxnn.conv import conv
from jaxnn.dense import dense
from jaxnn.descent import gradient_descent
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
from jaxnn.norm import group_norm, layer_norm, rms_norm
from jaxnn.pooling import average_pool, global_average_pool, max_pool, space_to_depth
from jaxnn.serialization import ModelFileError, load, load_metadata, save
from jaxnn.training import State, fit

__all__ = [
    "Layer",
    "LayerError",
    "Loss",
    "ModelFileError",
    "State",
    "average_pool",
    "binary_cross_entropy",
    "check_gradients",
    "conv",
    "dense",
    "dropout",
    "each",
    "fit",
    "flatten",
    "gelu",
    "global_average_pool",
    "gradient_descent",
    "group_norm",
    "hand",
    "identity",
    "layer_norm",
    "leaky_relu",
    "load",
    "load_metadata",
    "max_pool",
    "mean_squared_error",
    "parallel",
    "relu",
    "residual",
    "rms_norm",
    "save",
    "scan",
    "serial",
    "sigmoid",
    "silu",
    "softmax_cross_entropy",
    "softplus",
    "space_to_depth",
    "summary",
    "tanh",
    "tied",
    "value_and_grad",
    "value_and_grad_by_jax",
]
