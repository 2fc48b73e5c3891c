"""``python -m holdsteady`` is the command line."""

from holdsteady.cli import main

if __name__ == "__main__":
    main()
