"""One kind of problem that a service answers with. Pure."""

from dataclasses import dataclass

PREFIX = "/problems/"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem. `name` is the last part of its address, and the `code` of the answer with dashes."""

    name: str
    status: int
    happened: str
    remedy: str

    @property
    def uri(self) -> str:
        """A relative URI reference: it resolves on the service that answered."""
        return PREFIX + self.name

    def page(self) -> str:
        """The text about it, as Markdown."""
        return f"HTTP {self.status}. {self.happened}\n\nWhat to do: {self.remedy}\n"
