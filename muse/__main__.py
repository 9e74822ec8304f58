"""``python -m muse`` is the ``muse`` command."""

from muse.cli import main

if __name__ == "__main__":
    main()
