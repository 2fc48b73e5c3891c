"""The page runs models in processes of its own: one thread each, for other work may share the cores."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
