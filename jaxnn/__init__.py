"""Neural networks as pure functions, every layer with its backward pass written by hand."""

from typing import TYPE_CHECKING

from jaxnn.combinators.parallel import each, parallel
from jaxnn.combinators.scan import scan
from jaxnn.combinators.serial import residual, serial
from jaxnn.combinators.tied import tied
from jaxnn.gradients.backprop import hand, value_and_grad, value_and_grad_by_jax
from jaxnn.gradients.check import check_gradients
from jaxnn.inspection.summary import summary
from jaxnn.layer import Layer, LayerError
from jaxnn.layers.activations import gelu, identity, leaky_relu, relu, sigmoid, silu, softplus, tanh
from jaxnn.layers.attention import attention
from jaxnn.layers.attention_step import attention_step, key_value_cache
from jaxnn.layers.conv import conv
from jaxnn.layers.conv1d import conv1d
from jaxnn.layers.dense import dense
from jaxnn.layers.dropout import dropout
from jaxnn.layers.embedding import embedding
from jaxnn.layers.flatten import flatten
from jaxnn.layers.gru import gru, gru_step
from jaxnn.layers.lstm import lstm, lstm_step
from jaxnn.layers.masked_loss import masked_loss
from jaxnn.layers.norm import group_norm, layer_norm, rms_norm
from jaxnn.layers.pooling import average_pool, global_average_pool, max_pool, space_to_depth
from jaxnn.layers.positions import learned_positions, sinusoidal_positions
from jaxnn.layers.rnn import rnn, rnn_step
from jaxnn.layers.steps import bidirectional, last, max_over_time, mean, reverse
from jaxnn.layers.transformer import transformer_block
from jaxnn.losses import (
    Loss,
    binary_cross_entropy,
    mean_squared_error,
    softmax_cross_entropy,
)
from jaxnn.padding import Masked, masked, padded
from jaxnn.serialization import ModelFileError, load, load_metadata, save
from jaxnn.training.fit import fit
from jaxnn.training.gradient_descent import gradient_descent
from jaxnn.training.state import State

__all__ = [
    "Layer",
    "LayerError",
    "Loss",
    "Masked",
    "ModelFileError",
    "State",
    "attention",
    "attention_step",
    "average_pool",
    "bidirectional",
    "binary_cross_entropy",
    "check_gradients",
    "conv",
    "conv1d",
    "dense",
    "dropout",
    "each",
    "embedding",
    "fit",
    "flatten",
    "gelu",
    "global_average_pool",
    "gradient_descent",
    "group_norm",
    "gru",
    "gru_step",
    "hand",
    "identity",
    "key_value_cache",
    "last",
    "layer_norm",
    "leaky_relu",
    "learned_positions",
    "load",
    "load_metadata",
    "lstm",
    "lstm_step",
    "masked",
    "masked_loss",
    "max_over_time",
    "max_pool",
    "mean",
    "mean_squared_error",
    "padded",
    "parallel",
    "relu",
    "residual",
    "reverse",
    "rms_norm",
    "rnn",
    "rnn_step",
    "save",
    "scan",
    "serial",
    "sigmoid",
    "silu",
    "sinusoidal_positions",
    "softmax_cross_entropy",
    "softplus",
    "space_to_depth",
    "summary",
    "tanh",
    "tied",
    "transformer_block",
    "value_and_grad",
    "value_and_grad_by_jax",
]

__version__: str

if not TYPE_CHECKING:  # the type checker would take every name for a str

    def __getattr__(name: str) -> str:
        # On first use: importlib.metadata takes time to import.
        if name == "__version__":
            from importlib import metadata

            return metadata.version("jaxnn")
        raise AttributeError(f"module 'jaxnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "__version__"})
