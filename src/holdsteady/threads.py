"""How the threads of a CPU wait for one another."""

import os


def wait_asleep() -> None:
    """Let threads of OpenMP sleep while they wait, not spin; before PyTorch is imported, and if nothing else is said.

    A network is hundreds of short pieces of work, shared out among the threads. Those that spin take the processor from
    whoever has the missing piece, be it a decoder, an encoder, or another program: beside two busy programs on two
    cores a run takes half as long again (``benchmarks/busy.py``). On an idle machine it is as fast either way. The
    commands of ``holdsteady`` begin with this; OMP_WAIT_POLICY=ACTIVE undoes it.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
