"""`signals:` in a policy: the signals that an automatic decision needs, and classifiers that the router asks."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from secondlook.common.contract.fields import MAX_SIGNALS, SignalName
from secondlook.common.contract.sections import Clean, Misfit, Section

# Only such variables are ever sent anywhere: a policy cannot name the database's password.
VARIABLE = r"^SECONDLOOK_SIGNAL_[A-Z0-9_]{1,64}$"


class SignalEndpoint(Section):
    """A classifier that the router asks over HTTP.

    `openai_moderation`: an OpenAI-compatible `/v1/moderations`, asked for `model`; `names` maps each signal to the
    category whose score it is. `json`: any service that reads `{"text", "kind", "language", "url"}`; `names` maps each
    signal to the JSON Pointer (RFC 6901) of its number in the answer, like `/scores/0/toxic`.

    `timeout_seconds`: how long a batch of content waits for it, altogether. `at_once`: requests in progress. `cached`:
    answers that are kept, by content, and not asked for again. `most_an_hour`, `most_a_day`: requests of all routers
    together. `secret`: the environment variable of the router that holds the token, sent as `Authorization: Bearer`, or
    as it is in the header `secret_header`.
    """

    kind: Literal["openai_moderation", "json"]
    url: Annotated[Clean, Field(pattern=r"^https?://[^\s/@?#]+[^\s@#]*$", max_length=2000)]
    names: Annotated[
        dict[SignalName, Annotated[Clean, Field(max_length=200)]], Field(min_length=1, max_length=MAX_SIGNALS)
    ]
    model: Annotated[Clean, Field(min_length=1, max_length=200)] | None = None
    timeout_seconds: Annotated[float, Field(ge=0.05, le=30)] = 2.0
    at_once: Annotated[int, Field(ge=1, le=256)] = 32
    cached: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    most_an_hour: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    most_a_day: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    secret: Annotated[str, Field(pattern=VARIABLE)] | None = None
    secret_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "json":
            for name, pointer in self.names.items():
                if pointer and not pointer.startswith("/"):
                    raise Misfit(
                        ("names", name), f"names.{name} is no JSON Pointer: it begins with /, like /scores/toxic"
                    )
            if self.model is not None:
                raise Misfit(("model",), "model is for kind: openai_moderation only")
        if self.secret_header is not None and self.secret is None:
            raise Misfit(("secret_header",), "secret_header needs a secret to send")
        return self


class SignalsPolicy(Section):
    """`required`: content without one of these signals goes to a person, whatever else is known of it.

    `ask`: by name. A signal that the router asks for itself is never taken from upstream.
    """

    required: Annotated[tuple[SignalName, ...], Field(max_length=MAX_SIGNALS)] = ()
    ask: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")], SignalEndpoint], Field(max_length=16)
    ] = {}  # noqa: RUF012

    @model_validator(mode="after")
    def _has_one_origin_each(self) -> Self:
        origin: dict[str, str] = {}
        for endpoint, signal in self._asked():
            if signal in origin:
                raise Misfit(("ask", endpoint, "names", signal), f"{signal} is asked of {origin[signal]} already")
            origin[signal] = endpoint
        if len(origin) > MAX_SIGNALS:
            raise Misfit(("ask",), f"asks for more than {MAX_SIGNALS} signals")
        return self

    def _asked(self) -> Iterator[tuple[str, str]]:
        for endpoint, settings in self.ask.items():
            for signal in settings.names:
                yield endpoint, signal

    @property
    def asked(self) -> frozenset[str]:
        """The signals that the router asks for itself."""
        return frozenset(signal for _, signal in self._asked())
