"""Serving the page: to this machine alone, or to whoever has the token."""

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

import gradio as gr
import uvicorn
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdsteady.errors import ConfigError
from holdsteady.ui.choices import Own
from holdsteady.ui.desk import Desk
from holdsteady.ui.events import make_page
from holdsteady.ui.limits import Limits
from holdsteady.ui.theme import theme

_PAGE = Path(__file__).parent / "page"
_COOKIE = "holdsteady"
# Nothing is fetched from elsewhere, whatever a library would like to.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'"
)


@contextmanager
def page_for(host: str, limits: Limits, own: Own, device: str = "auto") -> Iterator[tuple[FastAPI, str | None, Desk]]:
    """The application, the token that it asks for (None on loopback), and its desk, whose files go at the end."""
    desk = Desk(limits)
    # Gradio keeps uploads there, and what was run in the browser unless told not to.
    with _environment(GRADIO_TEMP_DIR=str(desk.uploads), GRADIO_RUN_HISTORY="False"), closing(desk):
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        app.mount("/page", StaticFiles(directory=_PAGE))

        @app.get("/media/{folder}/{name}")
        async def media(folder: str, name: str) -> Response:
            path = desk.published(folder, name)
            return FileResponse(path) if path is not None else Response("it is gone; run it again", 404)

        gr.mount_gradio_app(
            app,
            make_page(desk, own, device),
            path="/",
            footer_links=[],
            show_error=True,
            max_file_size=int(limits.megabytes * 1e6),
            ssr_mode=False,
            pwa=False,
            theme=theme(),
            css_paths=_PAGE / "page.css",
            head='<script type="module" src="page/player.js"></script>',
        )
        token = None
        if is_loopback(host):
            # A page elsewhere whose name was made to lead here is not this page.
            app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", "[::1]", host])
        else:
            token = secrets.token_urlsafe(24)
            app.add_middleware(_WithToken, token=token)
        app.add_middleware(_WithPolicy)
        desk.worker.start()
        yield app, token, desk


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def serve(host: str, port: int, limits: Limits, own: Own, device: str, tell: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        host, port: where it listens; port 0 for a free one.
        limits: of uploads.
        own: what the command line brought.
        device: where models run.
        tell: gets the address once it listens.

    Raises:
        ConfigError: it can't listen there.
    """
    with _listening(host, port) as listener, page_for(host, limits, own, device) as (app, token, _):
        port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        tell(f"http://{shown}:{port}/" + (f"?token={token}" if token else ""))
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise ConfigError(f"--host {host} --port {port}: can't listen there: {error.strerror}") from error
    with listener:
        yield listener


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _WithToken:
    """Lets through who brings the token, in the address once, then as a cookie."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        cookie = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1")).get(_COOKIE)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if cookie is not None and hmac.compare_digest(cookie.value.encode(), self._token.encode()):
            await self._app(scope, receive, send)
        elif hmac.compare_digest(given.encode(), self._token.encode()):
            # To the address without it, which can be shown and shared.
            answer = Response(status_code=303, headers={"location": scope["path"], "referrer-policy": "no-referrer"})
            answer.set_cookie(_COOKIE, self._token, httponly=True, samesite="strict")
            await answer(scope, receive, send)
        else:
            text = "<p>This page needs the token that <code>holdsteady ui</code> printed: open the whole address.</p>"
            await HTMLResponse(text, 401)(scope, receive, send)


class _WithPolicy:
    """Adds the content security policy to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", _POLICY.encode())]
            await send(message)

        await self._app(scope, receive, with_header)
