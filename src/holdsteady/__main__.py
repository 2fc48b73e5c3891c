"""The ``holdsteady`` script, and ``python -m holdsteady``: the command line, or what to install to get it."""

import sys

from holdsteady.errors import MissingExtraError, extra


def main() -> None:
    """Run the command line; without its libraries, print the pip line and exit with 1."""
    try:
        with extra("cli", "the holdsteady command"):
            from holdsteady.cli import main as run
    except MissingExtraError as error:
        sys.exit(f"error: {error}")
    run()


if __name__ == "__main__":
    main()
