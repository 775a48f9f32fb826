"""Metrics, calibration, plots, and saliency images."""
