"""The answers of the overview routes."""

from datetime import datetime

from pydantic import BaseModel, Field


class Bucket(BaseModel):
    """What happened from `at` on, for as long as a bucket is."""

    at: datetime
    requested: int = Field(description="items that people were asked about")
    judged: int = Field(description="verdicts, without those that were undone")
    approved_automatically: int
    rejected_automatically: int
    approved_by_people: int
    rejected_by_people: int


class Stats(BaseModel):
    """Oldest first; the last bucket goes on."""

    since: datetime
    until: datetime
    bucket_seconds: float
    buckets: list[Bucket]
