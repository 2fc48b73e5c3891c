"""Adapters on a hub: a small server on this machine that speaks as much of its protocol as a repository takes."""

import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import pytest
import torch

from holdsteady.adapters.adapter import Adapter, Point
from holdsteady.adapters.config import make_config
from holdsteady.adapters.hub import is_hub_id, pull_adapter, push_adapter
from holdsteady.adapters.layout import Layout
from holdsteady.errors import AdapterError

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
    assert push_adapter(adapter, "me/my-adapter", token="hf_x").endswith(f"/me/my-adapter/commit/{COMMIT}")
    assert sorted(files) == ["README.md", "adapter.json", "adapter.safetensors"]
    assert 'stabilize(model, "me/my-adapter")' in files["README.md"].decode()
    again = pull_adapter("me/my-adapter")
    assert again.config == adapter.config
    assert again.points == adapter.points
    state = adapter.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())


@pytest.mark.usefixtures("files")
def test_a_repository_that_is_not_there() -> None:
    with pytest.raises(AdapterError, match="no folder 'you/other' here, and the hub did not give an adapter by that"):
        pull_adapter("you/other")


def test_a_repository_of_something_else(files: dict[str, bytes]) -> None:
    files["model.safetensors"] = b"else"
    with pytest.raises(AdapterError, match=r"'me/my-adapter' on the hub is not an adapter: it lacks adapter\.json"):
        pull_adapter("me/my-adapter")


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
