"""The page as a web application.

Conventions
-----------
safe on a network
    Addresses: ``/`` (the page), ``/health`` (JSON), ``/pieces/<token>/<candidate>.<ending>``,
    ``/figures/<name>``. No address takes a path of
    this machine. A content security policy forbids browsers to ask any other host. Requests wait in one queue; limits
    are in :mod:`demos.limits`.

Contents: :func:`create_app`, :func:`serve`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import webbrowser
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

# Gradio reads these when it is imported: no calls home, and uploads in a folder of this process alone.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# Of its events it keeps ten thousand, and counts them all after each; nobody looks at them here.
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "1"
_UPLOADS: Final = tempfile.mkdtemp(prefix="muse-uploads-")
os.environ["GRADIO_TEMP_DIR"] = _UPLOADS
atexit.register(shutil.rmtree, _UPLOADS, ignore_errors=True)

import anyio.to_thread  # noqa: E402
import gradio as gr  # noqa: E402
import uvicorn  # noqa: E402
from fastapi import FastAPI, Request, Response  # noqa: E402
from fastapi.responses import FileResponse, JSONResponse  # noqa: E402

from demos import widgets  # noqa: E402
from demos.limits import KEEP_SEC, MAX_UPLOAD_BYTES, MAX_VISITORS, MAX_WAITING, N_WORKERS  # noqa: E402
from demos.studio import Studio  # noqa: E402
from demos.tabs import about, compose, explore, recognize  # noqa: E402
from muse import __version__  # noqa: E402
from muse.checkpoint import data_path  # noqa: E402
from muse.engines.processes import return_large_blocks  # noqa: E402
from muse.errors import InputError, MuseError  # noqa: E402
from muse.tasks.formats import ENDINGS  # noqa: E402

__all__ = ["create_app", "serve"]

_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(studio: Studio | None = None, *, auth: tuple[str, str] | None = None) -> FastAPI:
    """The page with its addresses, ready to be served.

    Parameters
    ----------
    studio
        Models and pieces; made when None.
    auth
        Name and password that visitors have to give.
    """
    studio = studio or Studio()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The first visitor shall not wait for the models.
        studio.workers.start()
        yield
        studio.close()

    app = FastAPI(title="Muse", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def guard(request: Request, following: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await following(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "muse": __version__, "running": studio.n_running, "pieces": len(studio.pieces)}

    # A sound takes up to 200 MB while it is played: few at a time, and the others wait without a thread of their own.
    writing = anyio.CapacityLimiter(N_WORKERS)

    @app.get("/pieces/{token}/{name}")
    async def piece(token: str, name: str) -> Response:
        try:
            path = await anyio.to_thread.run_sync(studio.pieces.file, token, name, limiter=writing)
        except MuseError as error:
            return JSONResponse({"error": " ".join(str(error).split())}, status_code=422)
        if path is None:
            return JSONResponse({"error": "there is no such piece; pieces are kept for an hour"}, status_code=404)
        return FileResponse(path, media_type=ENDINGS[path.suffix[1:]], filename=f"muse-{name}")

    @app.get("/figures/{name}")
    def figure(name: str) -> Response:
        if name not in dict(explore.FIGURES):
            return JSONResponse({"error": "there is no such figure"}, status_code=404)
        return FileResponse(data_path("attributes") / name)

    page = _page(studio)
    _take_only_uploads(page)
    gr.mount_gradio_app(
        app, page, path="/", auth=auth, max_file_size=MAX_UPLOAD_BYTES, show_error=False, ssr_mode=False,
        footer_links=[], theme=_theme(), css=widgets.STYLE, pwa=False, mcp_server=False, enable_monitoring=False,
        favicon_path=None,
    )  # fmt: skip
    return app


def _take_only_uploads(page: gr.Blocks) -> None:
    """Refuse requests that name files of this machine or addresses in the place of uploads."""
    # Gradio checks that files are uploads only after a launch; mounted, it would take every file of this machine.
    page.has_launched = True

    def checked(keep: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def move(place: Any) -> Any:
            if place is not None and "://" in str(place):  # it would be fetched
                raise InputError("give a file, not an address")
            return await keep(place)

        return move

    for block in page.blocks.values():
        block.async_move_resource_to_block_cache = checked(block.async_move_resource_to_block_cache)


def _theme() -> gr.themes.Base:
    """Gradio's own theme with fonts of the visitor's machine."""
    return gr.themes.Default(
        primary_hue="indigo", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )


def _page(studio: Studio) -> gr.Blocks:
    with gr.Blocks(title="Muse", analytics_enabled=False, delete_cache=(600, int(KEEP_SEC))) as page:
        gr.HTML("<h1>Muse</h1><p>Music for an emotion, and the emotion of music.</p>", elem_id="title")
        with gr.Tabs():
            with gr.Tab("Compose", id="compose-tab"):
                fill = compose.build(studio)
            with gr.Tab("Recognize", id="recognize-tab"):
                recognize.build(studio)
            with gr.Tab("Explore", id="explore-tab"):
                explore.build(studio)
            with gr.Tab("About", id="about-tab"):
                about.build()
        page.load(fill.function, None, fill.outputs, show_progress="hidden", queue=False, api_visibility="private")

        def leave(request: gr.Request) -> None:
            studio.leave(str(request.session_hash))

        page.unload(leave)
    # What Gradio keeps of a visit it never gives up but for later ones; by itself it would keep ten thousand.
    page.state_session_capacity = MAX_VISITORS
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=4, api_open=False)
    return page


def serve(host: str, port: int, *, auth: tuple[str, str] | None = None, browser: bool = True) -> None:
    """Serve the page until it is interrupted.

    Parameters
    ----------
    host, port
        Where to listen; ``127.0.0.1`` is this machine alone.
    auth
        Name and password that visitors have to give.
    browser
        Open the page in a browser.
    """
    return_large_blocks()  # of sounds, which any thread may play
    app = create_app(auth=auth)
    if browser:
        timer = threading.Timer(2.0, webbrowser.open, [f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/"])
        timer.daemon = True
        timer.start()
    uvicorn.run(app, host=host, port=port, log_level="warning")
