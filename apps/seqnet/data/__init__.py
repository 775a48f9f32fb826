"""Readers: each format of DATA has one module."""
