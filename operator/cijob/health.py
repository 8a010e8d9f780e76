"""Health endpoints: /healthz (is the process stuck?) and /readyz (is the cache in step?); and /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

Check = Callable[[], str | None]
"""Gives what is wrong, or None."""

Render = Callable[[str], tuple[bytes, str]]
"""Gives the metrics in a form that a scraper accepts, and that form's content type."""


async def serve(port: int, *, alive: Check, ready: Check, metrics: Render) -> web.AppRunner:
    """Serve the endpoints on all addresses; `cleanup()` of the result ends it.

    Raises:
        OSError: the port cannot be had.
    """

    def endpoint(check: Check) -> Callable[[web.Request], web.StreamResponse]:
        async def answer(_: web.Request) -> web.Response:
            problem = check()
            return web.Response(status=200 if problem is None else 503, text=f"{problem or 'ok'}\n")

        return answer  # type: ignore[return-value]  # aiohttp's Handler is this coroutine function

    async def scraped(request: web.Request) -> web.Response:
        body, content_type = metrics(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/healthz", endpoint(alive))  # type: ignore[arg-type]  # as above
    application.router.add_get("/readyz", endpoint(ready))  # type: ignore[arg-type]  # as above
    application.router.add_get("/metrics", scraped)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, None, port).start()
    return runner
