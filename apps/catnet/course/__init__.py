"""The course's published runs."""
