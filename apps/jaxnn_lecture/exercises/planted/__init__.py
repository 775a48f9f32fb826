"""The exercises: each file is a layer whose ``backward`` has one planted mistake."""
