"""A hospital's home in one file, and what a home that was put back may do: nothing, until a person speaks.

A backup is older than what was lost. Put back as it is, its ε book would have forgotten what was spent since,
its journal would have forgotten who revoked what, and both would pass for the newest, whole and signed. So:

- The file holds its own mark (`places.MARK`): however it is unpacked, the home answers to nobody.
- `restore` also closes the ε book, in an entry of the book itself.
- A home whose book or journal is another file than the one that was written here, by number and time of
  birth on this disk, was copied or put back by hand: it answers to nobody either.
- `reopen` is a person's word: either the newest heads, kept elsewhere, say that nothing is missing; or what
  may have run since is booked as if it had, and no approval counts any longer.
- Studies' memories are not in a backup: they hold the secrets of masks, and an older one would let a round
  be opened twice.

What it cannot see: a whole disk that was set back (a snapshot of a machine), which brings back the same
files. Only heads kept elsewhere show that. Modules: `saving`, `restoring`, `reopening`, `places`, `loss`.
"""

from client.backup.loss import Evidence, Loss
from client.backup.places import check, is_closed
from client.backup.reopening import assess, reopen
from client.backup.restoring import restore
from client.backup.saving import save

__all__ = ["Evidence", "Loss", "assess", "check", "is_closed", "reopen", "restore", "save"]
