"""The page of ``holdsteady ui``: a video in, the model alone and held steady beside each other, in a browser.

``server`` serves what ``layout`` places and ``events`` makes work. ``desk`` has the visits and their files, and does
jobs in order; ``work`` does one, in a process of its own (``worker``) that can be ended at any time. ``look`` opens
files of strangers first.
"""
