"""From a head's logits to probabilities."""

from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from scipy.special import expit

_Probability = Annotated[float, Field(ge=0, le=1)]


class Platt(BaseModel):
    """probability = sigmoid(slope · logit + intercept); the slope is positive, so ranks stay."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["platt"] = "platt"
    slope: Annotated[FiniteFloat, Field(gt=0)]
    intercept: FiniteFloat

    def apply(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of the logits, same shape."""
        return np.asarray(expit(self.slope * logits + self.intercept))


class Isotonic(BaseModel):
    """Linear interpolation between knots, flat outside: logits strictly rising, probabilities never falling."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["isotonic"] = "isotonic"
    logits: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)]
    probabilities: tuple[_Probability, ...]

    @model_validator(mode="after")
    def _is_a_curve(self) -> Self:
        if len(self.logits) != len(self.probabilities):
            raise ValueError("as many probabilities as logits are needed")
        if np.any(np.diff(self.logits) <= 0) or np.any(np.diff(self.probabilities) < 0):
            raise ValueError("knots must rise")
        return self

    def apply(self, logits: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of the logits, same shape."""
        return np.asarray(np.interp(logits, self.logits, self.probabilities))


Calibration = Annotated[Platt | Isotonic, Field(discriminator="kind")]
