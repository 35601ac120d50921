"""Speaking with the coordinator's front door: HTTPS, with whom the authority vouches for and nobody else."""

from __future__ import annotations

import logging
import ssl
from types import TracebackType
from typing import Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from ground.errors import FederationError
from ground.membership.messages import (
    BIGGEST,
    BIGGEST_LIST,
    JOIN,
    MOMENT,
    PEERS,
    RENEW,
    Clock,
    JoinRequest,
    MemberRequest,
    Membership,
    Peers,
    Refusal,
)

PATIENCE = 30.0  # seconds for each step of a request
Given = TypeVar("Given", bound=BaseModel)


class RefusedError(FederationError):
    """The coordinator was reached and said no."""


class Door:
    """The front door at host:port, for whom this authority (PEM) vouches.

    Every method raises FederationError in one line where the coordinator cannot be reached, is another one or
    answers what cannot be read, and RefusedError with its words where it refuses.
    """

    def __init__(self, address: str, authority: str) -> None:
        self._address = address
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request
        self._client = httpx.Client(
            base_url=f"https://{address}",
            verify=ssl.create_default_context(cadata=authority),
            timeout=PATIENCE,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def clock(self) -> Clock:
        """What time it is there."""
        return self._ask("GET", MOMENT, None, Clock, BIGGEST)

    def join(self, request: JoinRequest) -> Membership:
        """Become a member."""
        return self._ask("POST", JOIN, request, Membership, BIGGEST)

    def renew(self, request: MemberRequest) -> Membership:
        """Another certificate."""
        return self._ask("POST", RENEW, request, Membership, BIGGEST)

    def peers(self, request: MemberRequest) -> Peers:
        """The other members."""
        return self._ask("POST", PEERS, request, Peers, BIGGEST_LIST)

    def _ask(self, method: str, path: str, said: BaseModel | None, kind: type[Given], biggest: int) -> Given:
        content = None if said is None else said.model_dump_json().encode()
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream(method, path, content=content, headers=headers) as answer:
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > biggest:
                        raise FederationError(f"the coordinator at {self._address} sent more than fits")
        except httpx.TransportError as error:
            raise FederationError(self._unreached(error)) from error
        try:
            if answer.is_success:
                return kind.model_validate_json(body)
            why = Refusal.model_validate_json(body).error
        except ValidationError:
            raise FederationError(
                f"what answers at {self._address} is no front door of this version (status "
                f"{answer.status_code}): check the address, and that versions fit"
            ) from None
        plain = "".join(each if each.isprintable() else " " for each in why)
        raise RefusedError(f"the coordinator refuses: {plain}")

    def _unreached(self, error: httpx.TransportError) -> str:
        if isinstance(error.__cause__ or error, ssl.SSLCertVerificationError) or "CERTIFICATE" in str(error):
            return (
                f"what answers at {self._address} is not the coordinator of this federation, or its "
                "certificate has ended: ask its administrator before you try again"
            )
        return (
            f"the coordinator cannot be reached at {self._address}: check the network, a firewall or proxy "
            "between, and that it runs"
        )
