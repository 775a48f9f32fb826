"""Data that a program draws by a stated rule; one file for each application."""
