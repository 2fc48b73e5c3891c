"""Where torch computes."""

import torch

from holdsteady.errors import ConfigError


def pick_device(name: str) -> str:
    """A device that is there; ``auto`` takes the first accelerator, or else the CPU.

    Raises:
        ConfigError: torch does not know or does not have it.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"device '{name}' can't be used here ({reason}); try cpu") from error
    return name
