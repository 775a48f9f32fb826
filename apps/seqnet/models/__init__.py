"""Networks, and model files."""
