"""Find image files and decode them to 64×64 images."""
