"""``python -m seqnet`` is ``seqnet``."""

from seqnet.cli.main import console

if __name__ == "__main__":
    console()
