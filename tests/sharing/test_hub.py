"""Adapters and exports on a hub: a server on this machine that speaks as much of its protocol as it takes."""

import base64
import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import pytest
import torch
import yaml
from exports.made import make_export
from hostile import zipped

import holdsteady as hs
from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config
from holdsteady.adapters.files import save_adapter
from holdsteady.adapters.hub import is_hub_id, pull_adapter
from holdsteady.adapters.layout import Layout
from holdsteady.errors import AdapterError, ExportError
from holdsteady.exports.manifest import read_manifest
from holdsteady.exports.step import OnnxStep
from holdsteady.host.resolve import SHIPPED
from holdsteady.sharing.hub import from_pretrained, push_to_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Repository(BaseHTTPRequestHandler):
    """One repository, me/my-adapter, whose files are those of the last commit."""

    files: dict[str, bytes]

    @property
    def home(self) -> str:
        return f"http://{self.headers['Host']}/me/my-adapter"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "/preupload/" in self.path:
            files = [
                {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in json.loads(body)["files"]
            ]
            self.answer(json.dumps({"files": files}).encode())
        elif "/commit/" in self.path:
            for line in map(json.loads, body.decode().splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(json.dumps({"commitUrl": f"{self.home}/commit/{COMMIT}", "commitOid": COMMIT}).encode())
        else:
            self.answer(json.dumps({"url": self.home}).encode())

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        if self.path.startswith("/api/models/me/my-adapter"):
            siblings = [{"rfilename": file} for file in self.files]
            info = {"id": "me/my-adapter", "modelId": "me/my-adapter", "sha": COMMIT, "siblings": siblings}
            if "/tree/" in self.path:
                tree = [{"type": "file", "path": f, "size": len(c), "oid": f} for f, c in self.files.items()]
                self.answer(json.dumps(tree).encode())
            else:
                self.answer(json.dumps(info).encode())
        elif name in self.files:
            self.answer(self.files[name], X_Repo_Commit=COMMIT, ETag=f'"{name}"')
        else:
            self.answer(b"{}", 404, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET  # noqa: N815


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What is on the hub."""
    there: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Repository,), {"files": there}))
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield there
    server.shutdown()
    server.server_close()
    thread.join()


def small_adapter() -> Adapter:
    config = make_config("motion", motion_width=4)
    return Adapter(config, [Point("output", "", (3, 8, 9), Layout("map"))], provenance={"model": "none"})


def test_what_is_pushed_is_pulled(files: dict[str, bytes]) -> None:
    adapter = small_adapter()
    assert push_to_hub(adapter, "me/my-adapter", token="hf_x").endswith(f"/me/my-adapter/commit/{COMMIT}")
    assert sorted(files) == ["README.md", "adapter.json", "adapter.safetensors"]
    page = files["README.md"].decode()
    assert 'stabilize(model, "me/my-adapter")' in page and "* model: none" in page and "license" not in page
    for again in (pull_adapter("me/my-adapter"), from_pretrained("me/my-adapter")):
        assert isinstance(again, Adapter)
        assert again.config == adapter.config
        assert again.points == adapter.points
        state = adapter.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())


def front_matter(page: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(page.split("---\n")[1])
    return found


def test_the_page_of_a_training(files: dict[str, bytes], tmp_path: Path) -> None:
    """Figures, recipe, data, licence and a picture; and no paths of the machine that it was made on."""
    folder = tmp_path / "training"
    shutil.copytree(SHIPPED["nafnet16-noise-motion"], folder)
    recipe = (folder / "recipe.yaml").read_text().replace("footage/", "/home/somebody/my clips/")
    (folder / "recipe.yaml").write_text(recipe)
    about = (folder / "adapter.json").read_text().replace('"nafnet16-denoise"', '"/home/somebody/net.py:build"')
    (folder / "adapter.json").write_text(about)
    data = (folder / "data.json").read_text().replace("footage/", "/home/somebody/my clips/")
    (folder / "data.json").write_text(data)
    push_to_hub(folder, "me/my-adapter", model="denoise", license="apache-2.0")
    assert b"net.py:build" in files["adapter.json"] and b"somebody" not in files["adapter.json"]
    page = files["README.md"].decode()
    assert front_matter(page)["license"] == "apache-2.0"
    assert front_matter(page)["tags"] == ["video", "temporal-consistency", "motion"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert f"| at the end | {metrics['after']['psnr']:.2f} |" in page
    assert yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])["model"] == "denoise"
    assert "bikes.mp4" in page and "somebody" not in page
    assert files["picture.png"][:4] == b"\x89PNG" and "(picture.png)" in page


def test_damaged_records_leave_a_page_without_them(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = save_adapter(small_adapter(), tmp_path / "a")
    for name, content in (("metrics.json", "[3"), ("data.json", '{"training": [7]}'), ("recipe.yaml", "```")):
        (folder / name).write_text(content)
    push_to_hub(folder, "me/my-adapter", picture=False)
    assert "## Figures" not in files["README.md"].decode()


def test_an_export_is_pushed_pulled_and_run(files: dict[str, bytes], tmp_path: Path, carphone: str) -> None:
    folder = make_export(tmp_path / "out")
    push_to_hub(zipped(folder, tmp_path / "out.zip"), "me/my-adapter", license="mit")
    assert sorted(files) == ["README.md", "holdsteady.json", "picture.png", "step.onnx"]
    page = files["README.md"].decode()
    assert front_matter(page)["pipeline_tag"] == "image-to-image" and "tensors of state: 1" in page
    step = from_pretrained("me/my-adapter")
    assert isinstance(step, OnnxStep) and step.manifest == read_manifest(folder)
    assert hs.run(carphone, tmp_path / "a.mkv", step, duration=0.2).frames == 6


def test_what_a_downloaded_export_may_not_be(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = make_export(tmp_path / "out")
    manifest = (folder / "holdsteady.json").read_text()
    files["step.onnx"] = b"else"
    files["holdsteady.json"] = manifest.encode()
    with pytest.raises(ExportError, match=r"step\.onnx is damaged"):
        from_pretrained("me/my-adapter")
    files["holdsteady.json"] = manifest.replace('"runtime": "onnx"', '"runtime": "pt2"').encode()
    with pytest.raises(ExportError, match="may hold pickles"):
        from_pretrained("me/my-adapter", force_download=True)


@pytest.mark.usefixtures("files")
def test_a_repository_that_is_not_there() -> None:
    with pytest.raises(AdapterError, match="no folder 'you/other' here, and the hub did not give an adapter by that"):
        pull_adapter("you/other")


def test_a_repository_of_something_else(files: dict[str, bytes]) -> None:
    files["model.safetensors"] = b"else"
    with pytest.raises(AdapterError, match=r"'me/my-adapter' on the hub is not an adapter: it lacks adapter\.json"):
        pull_adapter("me/my-adapter")
    with pytest.raises(AdapterError, match="on the hub is neither an adapter nor an export"):
        from_pretrained("me/my-adapter")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("me/my-adapter", True),
        ("a/b", True),
        ("me", False),
        ("./a", False),
        ("/a/b", False),
        ("a/b/", False),
        ("a b/c", False),
    ],
)
def test_what_could_be_a_repository(name: str, expected: bool) -> None:
    assert is_hub_id(name) == expected


def test_what_lies_here_comes_first(tmp_path: Path) -> None:
    folder = save_adapter(small_adapter(), tmp_path / "adapter")
    for place in (folder, str(folder), zipped(folder, tmp_path / "adapter.zip")):
        found = from_pretrained(place)
        assert isinstance(found, Adapter) and found.config.kind == "motion"
    step = from_pretrained(make_export(tmp_path / "export"))
    assert isinstance(step, OnnxStep)
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdapterError, match=r"empty' is not an adapter: it lacks adapter\.json"):
        from_pretrained(tmp_path / "empty")


def test_a_hub_that_can_not_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(AdapterError, match="can't upload to 'me/my-adapter': "):
        push_to_hub(small_adapter(), "me/my-adapter", picture=False)
    with pytest.raises(AdapterError, match="no folder 'me/my-adapter' here, and the hub did not give"):
        from_pretrained("me/my-adapter", cache_dir=tmp_path)
