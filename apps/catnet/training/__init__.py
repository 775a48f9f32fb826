"""Training of every kind of network, and run folders."""
