"""Convolution: several forms of the same three products, each fast for some shapes."""
