"""Networks, trained models and the shipped weights."""
