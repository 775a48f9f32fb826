"""``python -m catnet`` is ``catnet``."""

from catnet.cli.main import console

if __name__ == "__main__":
    console()
