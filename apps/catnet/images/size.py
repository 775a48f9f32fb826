"""The one size that every image has once it is decoded."""

SIZE = 64  # pixels, height and width
