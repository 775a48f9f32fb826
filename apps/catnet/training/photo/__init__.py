"""Training of the photo network: resumable, with augmentation; the best weights are kept."""
