"""Training adapters, and measuring them beside the base and every smoothing. Needs ``holdsteady[train]``."""
