"""Walking through a network and showing what it is made of."""
