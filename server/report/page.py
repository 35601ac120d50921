"""placeholder"""

from typing import Any


def page(result: dict[str, Any], card: dict[str, Any]) -> str:
    return "<html></html>"
