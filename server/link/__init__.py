"""How the coordinator reaches hospitals: Flower's SuperLink as a process, and a Grid over what connects."""

from server.link.superlink import BUNDLE as BUNDLE
from server.link.superlink import SuperLink as SuperLink
