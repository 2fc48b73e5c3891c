"""The plug-ins are files of their own, not part of the package."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "integrations"


@pytest.fixture(scope="session")
def plugin() -> Callable[[str], ModuleType]:
    """Loads one by its path, as the programs do that it is for."""

    def load(path: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(
            Path(path).with_suffix("").as_posix().replace("/", "_"), FOLDER / path
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
