"""``python -m ppbench``."""

from ppbench.cli.main import main

if __name__ == "__main__":
    main()
