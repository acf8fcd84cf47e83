"""How thorough the tests of this folder are: a share in `make test`, everything in `make campaign`, which counts what was tried.

HOLOFUSION_CAMPAIGN names the file that counts; HOLOFUSION_SCALE multiplies the number of examples of a campaign.
"""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

COUNTS = os.environ.get("HOLOFUSION_CAMPAIGN", "")
SCALE = float(os.environ.get("HOLOFUSION_SCALE", "1"))


def examples(few: int, many: int) -> settings:
    """Settings of hypothesis: `few` examples, always the same, in `make test`; `many` others each time in a campaign."""
    return settings(
        max_examples=max(1, int(many * SCALE)) if COUNTS else few,
        deadline=None,
        derandomize=not COUNTS,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def tried(kind: str) -> None:
    """Count one try that was survived; one that was not fails its test."""
    if COUNTS:
        with Path(COUNTS).open("a") as file:
            file.write(f"{kind}\n")
