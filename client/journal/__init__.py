"""The hospital's journal: who did what with which study, and when, in lines that vouch for each other.

A text file, one JSON object a line, appended to and never changed. Each line holds the digest of the line
before it and the hospital's signature, and the last digest (the head) is kept again in a small file beside
it. So a line that was edited, removed, reordered, or appended by somebody without the hospital's key is
noticed and named, without a network.

What it cannot do: whoever has the hospital's identity can write another journal, and whoever can write the
home can take away the last lines together with their head. A copy of the head kept elsewhere shows even
that: `laennec hospital journal` prints it.

No patient's data is ever in it: counts, names of studies, digests, ε, and who. Modules: `lines` (a line and
the chain), `journal` (the file).
"""

from client.journal.journal import FILE, Journal
from client.journal.lines import Line, What, Who

__all__ = ["FILE", "Journal", "Line", "What", "Who"]
