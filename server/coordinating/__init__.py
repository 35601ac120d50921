"""What runs behind `laennec coordinator start`.

Modules: `daemon` (the process that keeps all others running), `study` (the process that is at one study),
`places` (where a study's files lie), `orders` (what people ask for: launch, stop, resume), `status` (what it
says of itself), `door` (the front door in a thread), `every` (what is done once in a while).
"""
