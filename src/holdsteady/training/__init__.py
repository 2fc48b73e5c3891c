"""Training adapters. Needs ``holdsteady[train]``."""
