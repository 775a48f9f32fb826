"""Benchmarks of jaxnn and catnet against their peers: ``python -m catnet_bench``."""
