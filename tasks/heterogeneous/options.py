"""What a study on heterogeneous data chooses: the table [options] of its text.

[options]
dimensions = 8
target = "impaired"
target-weight = 10.0

[options.channels.csf]
tau = { unit = "pg/mL", log = true, centre = 5.8, scale = 0.56, low = 10, high = 5000 }

[options.channels.genotype]
e4 = { kind = "genotype" }
"""

from __future__ import annotations

import json
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from ground.errors import StudyError
from ground.strict import Table, explain
from tasks.channels.joint import Joint, Variable
from tasks.channels.schema import Kind, Name


class VariableOptions(Table):
    """One variable; see `tasks.channels.joint.Variable`."""

    kind: Kind = "gaussian"
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    centre: float = 0.0
    scale: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    levels: list[str] = Field(default_factory=list)
    log: bool = False

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if (self.kind == "categorical") != (len(self.levels) > 1):
            raise ValueError('levels are of kind = "categorical", at least two of them')
        if self.kind != "gaussian" and (self.log or self.centre or self.scale != 1.0):
            raise ValueError('log, centre and scale are of kind = "gaussian"')
        return self


class Options(Table):
    """A study's choices.

    Attributes:
        channels: channel -> variable -> what it is.
        dimensions: of the latent space, before sparsity drops some.
        target: what is predicted; "" where nothing is.
        target_weight: of the prediction's cross-entropy beside the evidence bound, both per patient.
        shrinkage: of an L2 penalty on the weights of encoders and read-out, beside the loss per
            patient, in studies without privacy.
        joint: share of the evidence bound that the joint code has; the rest is the paper's.

    """

    channels: Annotated[dict[Name, dict[Name, VariableOptions]], Field(min_length=1)]
    dimensions: Annotated[int, Field(ge=1, le=256)] = 8
    target: str = ""
    target_weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0
    shrinkage: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    joint: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5

    def agreed(self) -> Joint:
        """The channels in the order of the parameters."""
        return Joint(
            tuple(
                (name, tuple(_variable(each, options) for each, options in sorted(variables.items())))
                for name, variables in sorted(self.channels.items())
            ),
            self.target,
        )


def _variable(name: str, options: VariableOptions) -> Variable:
    values = options.model_dump() | {"levels": tuple(options.levels)}
    return Variable(name, **values)


def parse(text: str) -> Options:
    """From a study's options as JSON; raises StudyError in one line that names the key."""
    try:
        return Options.model_validate(json.loads(text))
    except ValidationError as error:
        raise StudyError(f"[options] {explain(error, Options)}") from error
