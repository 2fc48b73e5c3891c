import os
import subprocess
import sys

import pytest

_PROGRAM = """
import sys
from holdsteady.cli import main

assert "torch" not in sys.modules
sys.argv = ["holdsteady", "--help"]
try:
    main()
except SystemExit:
    pass
import torch
"""


@pytest.mark.skipif(sys.platform != "linux", reason="another library of threads")
@pytest.mark.parametrize(("said", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_told_otherwise(said: dict[str, str], found: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = {**kept, "OMP_DISPLAY_ENV": "TRUE", **said}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert f"OMP_WAIT_POLICY = '{found}'" in done.stderr
