"""The hospital's page: what waits for a person, what was decided, what it cost; in a browser on this machine.

It shows and decides what the command line does, through the same functions. Rendered here, from templates
that escape; it works without a script. Modules: `server` (socket, link, browser), `visits` (who may see it),
`guard` (what every request passes), `app` (the application), `seeing` and `acting` (its routes), `decisions`
(what a person decides), `budgets`, `records`, `running`, `pictures` (what the pages show), `shown` (how
templates write things).
"""
