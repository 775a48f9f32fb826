"""Fine-tuning: a trained network gets a new head, for classes of the user's own."""
