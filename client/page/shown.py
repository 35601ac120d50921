"""The templates, and how amounts of ε are written in them. Everything is escaped."""

from __future__ import annotations

from jinja2 import Environment

from ground.web import shown


def environment() -> Environment:
    """The page's templates; an unknown name is an error, and every value is escaped."""
    made = shown.environment("client.page")
    made.filters.update(up=up, down=down)
    return made


def up(epsilon: float | None) -> str:
    """What was spent or asked, never less than it is."""
    from client.ledger import up as rounded

    return "–" if epsilon is None else rounded(epsilon)


def down(epsilon: float | None) -> str:
    """What is left, never more than it is."""
    from client.ledger import down as rounded

    return "–" if epsilon is None else rounded(epsilon)
