"""The photo network in PyTorch, written as PyTorch users write it; see ``catnet.models.resnet``.

This module imports only PyTorch and NumPy, because ``torch_predict`` is timed as a process.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn


class RMSNorm(nn.Module):
    """Root mean square normalization of the channels of images (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape."""
        r = torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-5)
        return x * r * self.weight[:, None, None]


class Block(nn.Module):
    """A residual block that keeps the shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            RMSNorm(width),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape."""
        return x + self.body(x)


def network(widths: Sequence[int], blocks: Sequence[int], classes: int) -> nn.Module:
    """Images (N, 3, 64, 64) to logits (N, classes)."""
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 8, stride=4, padding=2)]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if stage:
            before = widths[stage - 1]
            layers += [RMSNorm(before), nn.Conv2d(before, width, 2, stride=2)]
        layers += [Block(width) for _ in range(count)]
    layers += [RMSNorm(widths[-1]), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    net: Any = nn.Sequential(*layers, nn.Linear(widths[-1], classes))
    return net.to(memory_format=torch.channels_last)


def load(net: nn.Module, leaves: Sequence[np.ndarray]) -> nn.Module:
    """The same network with jaxnn's parameters, which come in the same order."""
    with torch.no_grad():
        for parameter, leaf in zip(net.parameters(), leaves, strict=True):
            parameter.copy_(torch.from_numpy(_as_torch(leaf)))
    return net


def gradients(net: nn.Module) -> list[np.ndarray]:
    """Gradients of all parameters, with jaxnn's axes."""
    return [_as_jaxnn(p.grad.numpy()) for p in net.parameters() if p.grad is not None]


def _as_torch(leaf: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf)


def _as_jaxnn(leaf: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(leaf.transpose(2, 3, 1, 0) if leaf.ndim == 4 else leaf)


def save(
    file: str, architecture: dict[str, Any], leaves: Sequence[np.ndarray], **more: Any
) -> None:
    """Write a model file that ``restore`` reads."""
    net = load(
        network(architecture["widths"], architecture["blocks"], architecture["classes"]), leaves
    )
    torch.save({"network": architecture, "state": net.state_dict(), **more}, file)


def restore(file: str) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a model file in evaluation mode, and the contents of the file."""
    model = torch.load(file, weights_only=True)
    architecture = model["network"]
    net = network(architecture["widths"], architecture["blocks"], architecture["classes"])
    net.load_state_dict(model["state"])
    return net.eval(), model


def probabilities(net: nn.Module, model: dict[str, Any], images: torch.Tensor) -> torch.Tensor:
    """Probabilities of a cat (N,) for images (N, size, size, 3) uint8."""
    x = images.permute(0, 3, 1, 2).float() / 255  # a view of pixels in rows is channels_last
    if "first_view" not in model["network"]:
        odds = _mean_log_odds(net, model, x)
    else:
        part, doubt = model["network"]["first_view"]
        odds = _log_odds(net, model, _view(x, part)[0])
        if (doubtful := odds.abs() < doubt).any():
            odds[doubtful] = _mean_log_odds(net, model, x[doubtful])
    return torch.sigmoid(model["slope"] * odds + model["offset"])


def _mean_log_odds(net: nn.Module, model: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    """The mean over all views."""
    views = [view for part in model["network"]["test_time_augmentation"] for view in _view(x, part)]
    return _log_odds(net, model, torch.cat(views)).reshape(-1, len(x)).mean(0)


def _view(x: torch.Tensor, part: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The middle of images at 64×64, and mirrored."""
    edge = (x.shape[-1] - part) // 2
    middle = x[:, :, edge : edge + part, edge : edge + part]
    middle = nn.functional.interpolate(
        middle, (64, 64), mode="bilinear", align_corners=False, antialias=True
    )
    return middle, middle.flip(3)


def _log_odds(net: nn.Module, model: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        z = net(x)
    cats = torch.zeros(z.shape[1], dtype=torch.bool)
    cats[model["network"]["cats"]] = True
    return z[:, cats].logsumexp(1) - z[:, ~cats].logsumexp(1)
