"""What may learn from labels, and how."""

from typing import Literal

Mode = Literal["head", "finetune"]
Method = Literal["full", "lora"]
