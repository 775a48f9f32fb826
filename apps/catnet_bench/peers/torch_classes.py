"""Training of the photo network in PyTorch, written as PyTorch users write it."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from catnet_bench.peers import torch_photo

RATE = 2e-3  # the largest of AdamW
PAD = 6  # pixels that a random crop may lie outside of an image, at most


def train(
    images: np.ndarray,
    labels: np.ndarray,
    shape: tuple[Sequence[int], Sequence[int], int],
    steps: int,
    batch_size: int,
) -> nn.Module:
    """Train from random weights.

    Args:
        images: (n, 64, 64, 3) uint8.
        labels: (n,) the class of each.
        shape: widths, blocks and classes of the network.
        steps: the number of batches.
        batch_size: images in each.
    """
    torch.manual_seed(0)
    net = torch_photo.network(*shape)
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.05, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=steps)
    x, y = torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(order) < batch_size:  # every image comes once before any comes again
            order = torch.cat([order, torch.randperm(len(x))])
        batch, order = order[:batch_size], order[batch_size:]
        adam.zero_grad()
        logits = net(_augment(_prepare(x[batch])))
        functional.cross_entropy(logits, y[batch], label_smoothing=0.1).backward()
        adam.step()
        cycle.step()
    return net.eval()


def answer(net: nn.Module, images: np.ndarray) -> np.ndarray:
    """The most probable class (n,) of images (n, 64, 64, 3) and their mirror images together."""
    answers = []
    with torch.inference_mode():
        for part in torch.from_numpy(images).split(256):
            x = _prepare(part)
            answers.append((net(x) + net(x.flip(3))).argmax(1))
    return torch.cat(answers).numpy()


def _prepare(images: torch.Tensor) -> torch.Tensor:
    return images.permute(0, 3, 1, 2).float() / 255  # in rows of pixels: channels_last


def _augment(x: torch.Tensor) -> torch.Tensor:
    """Shift every image at random, and mirror half of them."""
    n, _, height, width = x.shape
    down, right = torch.randint(0, 2 * PAD + 1, (2, n))
    columns = torch.arange(width).expand(n, width)
    columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns) + right[:, None]
    rows = torch.arange(height).expand(n, height) + down[:, None]
    padded = functional.pad(x, (PAD, PAD, PAD, PAD)).permute(0, 2, 3, 1)
    image = torch.arange(n)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
