"""What the models have in common."""

from pydantic import BaseModel, ConfigDict


class Sent(BaseModel):
    """Sent to the server. It refuses what the server would refuse by its schema; errors never quote the input."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class Read(BaseModel):
    """Read from the server. Fields that a newer server adds are kept, in `model_extra`."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)
