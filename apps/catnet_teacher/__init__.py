"""Soft labels for ``catnet train --soft-labels``, from a pretrained network in PyTorch."""
