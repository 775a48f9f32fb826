"""Array operations behind the layers, in forms that run fast on XLA's CPU backend."""
