"""Whether the process lives, and whether it takes requests."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

router = APIRouter(include_in_schema=False)


@router.get("/livez")
async def live() -> dict[str, str]:
    """Answer as long as the event loop turns; a dependency that is down is no reason to restart this process."""
    return {"status": "ok"}


@router.get("/readyz")
async def ready(request: Request) -> JSONResponse:
    """Answer 200 after the services behind have answered once, until the process is told to end."""
    if request.app.state.readiness.ready:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "not ready"}, status_code=503)
