"""``python -m catnet`` is ``catnet``."""

from catnet.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
