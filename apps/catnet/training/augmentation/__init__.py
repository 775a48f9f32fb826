"""Data augmentation in jitted JAX: random crops, colours, noise, compression, mixup, cutmix."""
