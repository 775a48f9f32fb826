"""The counterpart of ``catnet predict`` in PyTorch: a script with a model file and a photo."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import sys

import torch
import torch_photo
from PIL import Image
from square import square


def main(model: str, photo: str) -> None:
    """Print the answer."""
    net, file = torch_photo.restore(model)
    with Image.open(photo) as image:
        small = square(image.convert("RGB"), file)
    [p] = torch_photo.probabilities(net, file, torch.from_numpy(small)[None])
    print(f"{'cat' if p >= 0.5 else 'non-cat'}  {p:.4f}  {photo}")


if __name__ == "__main__":
    main(*sys.argv[1:])
