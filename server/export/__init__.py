"""A finished study's model, to be handed on: weights, ONNX where it can be, and a model card.

Modules: `bundle` (the folder), `onnx` (the computation as a file), `card` (the model card).
"""

from server.export.bundle import Exported, export

__all__ = ["Exported", "export"]
