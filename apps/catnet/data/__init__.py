"""Read, download, check, split and sample data sets."""
