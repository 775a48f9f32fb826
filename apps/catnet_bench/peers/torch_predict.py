"""The counterpart of ``catnet predict`` in PyTorch: a script with a model file and a photo."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import sys

import numpy as np
import torch
import torch_photo
from PIL import Image


def main(model: str, photo: str) -> None:
    """Print the answer."""
    net, file = torch_photo.restore(model)
    with Image.open(photo) as image:
        small = image.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)
    [p] = torch_photo.probabilities(net, file, torch.from_numpy(np.array(small))[None])
    print(f"{'cat' if p >= 0.5 else 'non-cat'}  {p:.4f}  {photo}")


if __name__ == "__main__":
    main(*sys.argv[1:])
