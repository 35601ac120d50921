"""A hospital's membership in a federation: joining it, staying in it, and knowing the others.

Modules: `membership` (what is kept in HOME/federation), `door` (speaking with the coordinator's front door),
`asking` (a member's signed questions), `joining`, `renewal`, `peers`.
"""
