"""What a file of labels holds, read whole before anything of it is sent. Pure apart from reading."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from secondlook.cli.files.answers import may_be_shown
from secondlook.cli.files.formats.table import TableRow
from secondlook.cli.files.judgements import Labelling, judgement, said
from secondlook.cli.files.names import suggestion, unknown_label
from secondlook.cli.files.repeats import Repeats
from secondlook.cli.files.rows import DataFile
from secondlook.cli.output import shortened
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.errors import ConfigurationError, InvalidInput

FIRST = 5
NAMED = 10
NAMES = 10_000  # of labels that are counted; a file that has more has another column of names


@dataclass(slots=True)
class LabelSurvey:
    """Counts of a file of labels.

    `understood`: rows of which it is known what they say of labels, whatever else is wrong with them.
    `seen`: how many rows name a label, by the name in the file. `yes` and `no`: the answers, by the name that is sent.
    `refused`: by reason. `repeated`: rows that say what an earlier one says. `first`: the first rows as they would be
    sent. `listed`: some rows list the true names only.
    """

    read: int = 0
    understood: int = 0
    repeated: int = 0
    listed: bool = False
    seen: Counter[str] = field(default_factory=Counter)
    yes: Counter[str] = field(default_factory=Counter)
    no: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    items: set[tuple[str, str]] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    first: list[tuple[TableRow, ContentLabelled]] = field(default_factory=list)
    repeats: Repeats = field(default_factory=Repeats)

    def take(self, row: TableRow, labelling: Labelling, now: datetime) -> None:
        """Count a row."""
        self.read += 1
        try:
            if isinstance(row.values, InvalidInput):
                raise row.values
            found = said(row.values, labelling)
            self.understood += 1
            self.listed |= found.listed
            if len(self.seen) < NAMES:
                self.seen.update(found.flags.keys())
            event = judgement(row.number, row.values, labelling, now)
            is_new = self.repeats.is_new(row.number, event)
        except InvalidInput as error:
            self.refused[error.reason] += 1
            if len(self.problems) < FIRST:
                self.problems.append(f"{row.place}: {error}")
            return
        if not is_new:
            self.repeated += 1
            return
        self.items.add((event.source, event.content_id))
        self.people.add(event.reviewer)
        for name, flag in event.labels.items():
            (self.yes if flag else self.no)[name] += 1
        if len(self.first) < FIRST:
            self.first.append((row, event))


def surveyed(rows: Iterable[TableRow], labelling: Labelling, now: datetime) -> LabelSurvey:
    """Read all rows and count them."""
    survey = LabelSurvey()
    for row in rows:
        survey.take(row, labelling, now)
    return survey


def labels_column_of(file: DataFile, asked: Collection[str], named: str | None) -> str | None:
    """The column that holds an object or names of labels; None if each asked label has a column of its own.

    Columns that somebody asks for by name go before any other; only `named` goes before them.
    """
    if named is None and asked and set(asked) <= set(file.columns) and not file.layout.judgements:
        return None
    return file.layout.labels_column or "labels"


def require_labels(survey: LabelSurvey, file: DataFile, labelling: Labelling) -> None:
    """Hold the labels that somebody asked for against the file.

    A label that no row names is a mistake, since every row would say no to it; unless the rows list what is true and
    the policy has the label.

    Raises:
        ConfigurationError: names the label, and the nearest one that the file has.
    """
    there = {*survey.seen, *(file.columns if labelling.labels_column is None or not survey.seen else ())}
    for name, in_file in labelling.labels.items():
        rightly_absent = survey.listed and name in labelling.known
        if in_file not in there and not rightly_absent and survey.understood:
            raise ConfigurationError(
                f"no row of {file.shown} has the label {shortened(in_file, 100)!r}{suggestion(in_file, there)}: "
                "nothing was sent"
                + ("; if no row is to have it, first put a policy in force that has it" if survey.listed else "")
            )


def cautions(survey: LabelSurvey, labelling: Labelling, policy: Collection[str] | None) -> list[str]:
    """What somebody should know before labels are sent; `policy`: labels of the policy in force, None without one."""
    found = []
    for name in sorted({*survey.yes, *survey.no}):
        if policy is not None and name not in policy:
            count = survey.yes[name] + survey.no[name]
            found.append(unknown_label(name, count, policy))
    left_out = sorted(survey.seen.keys() - set(labelling.labels.values()))
    if labelling.labels and left_out:
        shown = [f"{name} ({survey.seen[name]:,})" for name in left_out if may_be_shown(name)][:NAMED]
        more = f" and {len(left_out) - len(shown):,} more" if len(shown) < len(left_out) else ""
        found.append(f"left out, since no --label names them: {', '.join(shown)}{more}")
    if survey.listed and not labelling.labels and (only := sorted(survey.yes.keys() - survey.no.keys())):
        found.append(
            f"no row says no to {shortened(', '.join(only), 200)}: the rows list what is true, and the rest is "
            "unknown. Name each label that the reviewers looked for with --label, and a row that leaves it out says no"
        )
    return found
