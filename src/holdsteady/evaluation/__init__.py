"""Adapters measured beside the base and every plain smoothing. Needs ``holdsteady[train]``."""
