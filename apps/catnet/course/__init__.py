"""Published numbers of courses and demos, a set in each file."""
