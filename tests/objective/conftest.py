"""One thread: the pictures are tiny, and other work may share the cores."""

import torch

torch.set_num_threads(1)
