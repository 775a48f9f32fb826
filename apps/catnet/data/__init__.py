"""Data sets: reading, downloading, checking, splitting and sampling them."""
