"""The forms of a convolution."""
