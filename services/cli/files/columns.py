"""What can be exported: the columns of decisions and of labels."""

from secondlook.cli.files.tables import Columns

DECISIONS = Columns(
    (
        "decision_id", "source", "content_id", "revision", "sequence", "outcome", "labels", "action", "decided_by",
        "decided_at", "confidence", "policy_version", "bundle_version", "reason", "supersedes",
    ),
    {
        "revision": "int32", "sequence": "int64", "policy_version": "int32", "labels": "names", "decided_at": "time",
        "confidence": "float",
    },
)  # fmt: skip
LABELS = Columns(
    (
        "label_id", "source", "content_id", "revision", "text", "language", "labels", "reviewer", "labelled_at",
        "adjudicated", "inclusion_probability", "stratum", "scores", "bundle_version",
    ),
    {
        "revision": "int32", "labels": "flags", "labelled_at": "time", "adjudicated": "bool",
        "inclusion_probability": "float", "scores": "numbers",
    },
)  # fmt: skip
