"""From what a user typed to 64×64 images."""
