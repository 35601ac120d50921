"""A browser's manners without a browser, at the dashboard of one home."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

from server.door.application import application
from server.home import CoordinatorHome

with warnings.catch_warnings():
    # It would rather have another library than httpx, which Flower brings.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

ROOT = "https://localhost:9443"
HTML = {"Accept": "text/html"}


@dataclass
class Visitor:
    """One browser at the dashboard, behind the door."""

    home: CoordinatorHome

    def __post_init__(self) -> None:
        self.client = TestClient(application(self.home), ROOT, follow_redirects=False, headers=HTML)

    def enter(self, token: str) -> Visitor:
        answer = self.client.post("/login", data={"token": token}, headers={"Origin": ROOT})
        assert answer.status_code == 303, answer.text
        return self

    def see(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text

    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.see("/"))
        assert found is not None
        return found[1]

    def send(self, path: str, **fields: str) -> str:
        """Send a form as the page's own forms do; the page that follows."""
        answer = self.client.post(path, data={"token": self.token(), **fields}, headers={"Origin": ROOT})
        if answer.status_code == 303:
            return self.see(answer.headers["location"])
        return answer.text
