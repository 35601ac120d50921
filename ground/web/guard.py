"""What every answer carries, and how a form is read that was meant: for the guards of our pages."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

BIGGEST_FORM = 16 * 1024  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: under that one browsers send forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ELSEWHERE = "This request was not made on this page: nothing was done. Open the page and try again."


def made_elsewhere(request: Request) -> bool:
    """Whether another site had the browser make this request."""
    return request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


async def form_of(request: Request, biggest: int = BIGGEST_FORM) -> dict[str, str] | None:
    """The fields of a form of ours: short, and each field once; None for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > biggest:
            return None
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except (UnicodeDecodeError, ValueError):
        return None
    fields = {name: value.strip() for name, value in pairs}
    return fields if len(fields) == len(pairs) else None
