"""``python -m jaxnn_lecture`` is ``jaxnn-lecture``."""

from jaxnn_lecture.cli import console

if __name__ == "__main__":
    console()
