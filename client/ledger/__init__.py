"""The hospital's ε book: what its patients' privacy has cost so far, and what it may still cost.

One account a cohort (the same set of patients). Every release of every study from that cohort is an entry:
*reserved* before training, *settled* after; a crash between the two counts as spent. Costs compose by PLD
over all entries, across rounds, attempts and studies; never by adding ε. The budget belongs to the hospital.

The book is a file of SQLite, append-only: each entry carries the SHA-256 digest of itself and of the entry
before it, and the last digest (the head) is kept again in a small file beside it. So an entry that was
edited, removed, or lost with a truncated or older copy of the book is noticed, named and refused.

What it cannot do: whoever owns the machine can replace the book *and* its head by others that agree with
each other, or delete both and begin anew. Only a copy of the head kept elsewhere shows even that:
`laennec hospital budget --show` prints it.

No patient's data is ever in it: names of cohorts, digests of studies, rounds, noise, and ε. Modules:
`entries` (an entry and the chain), `account` (what entries add up to), `book` (the file), `tables` (its
schema), `budget` (what fits), `troubles` (errors in plain words), `ledger` (what
the hospital calls).
"""

from client.ledger.account import DEFAULT_DELTA
from client.ledger.budget import Quote, down, up
from client.ledger.entries import Budget, Entry
from client.ledger.ledger import Ledger
from ground.heads import Head, head_of

# The book's name in a hospital's home.
BOOK = "ledger.sqlite"

__all__ = ["BOOK", "DEFAULT_DELTA", "Budget", "Entry", "Head", "Ledger", "Quote", "down", "head_of", "up"]
