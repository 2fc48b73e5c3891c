"""``holdsteady zoo``: the list is of what is there, and what is there is small enough to ship."""

from pathlib import Path
from typing import Any

from holdsteady import zoo
from holdsteady.host.resolve import SHIPPED


def test_it_lists_every_model_and_adapter_with_its_size_and_licence(cli: Any) -> None:
    done = cli("zoo")
    assert done.code == 0
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in done.out.splitlines() if "│" in line]
    named = {row[0]: row for row in rows if row[0]}
    assert {*zoo.MODELS, *SHIPPED} <= set(named)
    for name in (*zoo.MODELS, *SHIPPED):
        _, task, size, licence = named[name]
        assert task and licence == zoo.LICENCE
        assert size.endswith(("MB", "kB"))
    assert f"(was {next(iter(zoo.ALIASES))})" in done.out


def test_one_model_with_its_adapters_alone(cli: Any) -> None:
    done = cli("zoo", "denoise")
    assert done.code == 0
    assert "nafnet16-light" in done.out and "segment" not in done.out
    assert "universal" not in done.out
    unknown = cli("zoo", "segmant")
    assert unknown.code == 1
    assert "no model 'segmant' ships here (did you mean segment?)" in unknown.err
    assert (
        "nafnet16-light is an adapter, for the model denoise: holdsteady zoo denoise"
        in cli("zoo", "nafnet16-light").error
    )
    assert "universal is an adapter, for any model: holdsteady zoo" in cli("zoo", "universal").error


def test_everything_together_is_small() -> None:
    folder = Path(zoo.__file__).parent
    assert sum(file.stat().st_size for file in folder.rglob("*.safetensors")) < 12e6
