"""One file for each claim about speed."""
