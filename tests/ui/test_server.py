"""Who reaches the page, and what it says to the rest."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the page takes the extra ui")

from fastapi.testclient import TestClient
from gradio.state_holder import StateHolder

from holdsteady.ui.choices import Own
from holdsteady.ui.events import make_page
from holdsteady.ui.limits import Limits
from holdsteady.ui.server import is_loopback, page_for

LIMITS = Limits(megabytes=0.5, seconds=7)


@pytest.fixture(scope="module")
def local() -> Iterator[TestClient]:
    with page_for("127.0.0.1", LIMITS, Own()) as (app, token, desk):
        assert token is None
        with TestClient(app, base_url="http://127.0.0.1:7860") as client:
            yield client
    assert not desk.root.exists()
    assert "GRADIO_TEMP_DIR" not in os.environ


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_no_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_limits_are_said_before_anything_is_dropped(local: TestClient) -> None:
    page = local.get("/").text
    assert "up to 0.5 MB" in page and "the first 7 s are used" in page


def test_nothing_is_fetched_from_elsewhere(local: TestClient) -> None:
    answer = local.get("/")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert local.get("/page/player.js").status_code == 200


def test_another_name_for_this_machine_is_refused(local: TestClient) -> None:
    assert local.get("/", headers={"host": "evil.example"}).status_code == 400
    assert local.get("/", headers={"host": "localhost:7860"}).status_code == 200


def test_results_are_only_found_by_their_names(local: TestClient) -> None:
    for path in (f"/media/{'0' * 32}/steady.mp4", "/media/uploads/x.mp4", "/media/..%2f..%2fetc/passwd"):
        assert local.get(path).status_code == 404
    assert local.get("/gradio_api/file=/etc/passwd").status_code in (403, 404)
    assert local.get("/page/../server.py").status_code == 404


def test_uploads_have_a_largest_size(local: TestClient) -> None:
    assert local.post("/gradio_api/upload", files={"files": ("a.mp4", bytes(600_000))}).status_code == 413
    kept = local.post("/gradio_api/upload", files={"files": ("../../a.mp4", b"x")})
    assert kept.status_code == 200
    assert Path(kept.json()[0]).is_relative_to(os.environ["GRADIO_TEMP_DIR"])


def test_beyond_this_machine_a_token_is_asked_for() -> None:
    with page_for("0.0.0.0", LIMITS, Own()) as (app, token, _), TestClient(app, follow_redirects=False) as client:
        assert token is not None and len(token) >= 32
        for path in ("/", "/gradio_api/info", "/page/player.js", "/?token=", "/?token=wrong"):
            refused = client.get(path)
            assert refused.status_code == 401
        assert "open the whole address" in refused.text
        assert client.get("/", headers={"cookie": "holdsteady=wrong"}).status_code == 401
        moved = client.get(f"/?token={token}")
        assert (moved.status_code, moved.headers["location"]) == (303, "/")
        assert "HttpOnly" in moved.headers["set-cookie"] and "SameSite=strict" in moved.headers["set-cookie"]
        assert client.get("/").status_code == 200, "the cookie is enough"


def test_what_is_remembered_of_pages_is_bounded() -> None:
    with page_for("127.0.0.1", LIMITS, Own()) as (_, _, desk):
        page = make_page(desk, Own(), "cpu")
        holder = StateHolder()
        holder.set_blocks(page)
        for number in range(150):
            assert holder[str(number)] is holder[str(number)]
        assert len(holder.session_data) <= 100
