"""What a hospital and a coordinator say to each other about membership: the shapes, once for both sides.

Modules: `invitation` (one line of text, carried by a person), `messages` (what goes through the coordinator's
front door, as JSON over HTTPS), `proofs` (signatures with a node's key).
"""
