"""The federation's authority: it vouches for the coordinator's addresses and for each member's keys.

Modules: `certificates` (what a certificate holds, and reading one), `authority` (the key that signs),
`leaf` (the coordinator's own certificate, renewed in time), `reloading` (a server takes a renewed one up
without being started again).
"""

from server.authority.authority import Authority, make
from server.authority.certificates import Certificates, Facts, facts_of
from server.authority.leaf import Leaf

__all__ = ["Authority", "Certificates", "Facts", "Leaf", "facts_of", "make"]
