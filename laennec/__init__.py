"""Laennec: hospitals learn together from patients whom nobody else ever sees."""

from importlib.metadata import version

__version__ = version("laennec")
