"""A whole playbook."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from schemas.playbook.base import DAY, Duration, Minor, Name, Spec, Version
from schemas.playbook.funnels import FunnelSpec
from schemas.playbook.outreach import CapSpec, ConsentSpec, HoldoutSpec, QuietHoursSpec, ZoneName
from schemas.playbook.points import PointsSpec, TiersSpec
from schemas.playbook.rfm import RfmSpec
from schemas.playbook.sops import SopSpec
from schemas.playbook.stages import StagesSpec
from schemas.playbook.tags import TagSpec
from schemas.rules import shown

CURRENCY_PATTERN = "^[A-Z]{3}$"


def _is_currency(code: str) -> str:
    if re.fullmatch(CURRENCY_PATTERN, code):
        return code
    rather = code.upper() if re.fullmatch("[A-Za-z]{3}", code) else "CNY"
    raise ValueError(
        f"{shown(code)} is not a currency: write its three capital letters (ISO 4217), {rather}"
    )


Currency = Annotated[
    str, Field(json_schema_extra={"pattern": CURRENCY_PATTERN}), AfterValidator(_is_currency)
]
"""ISO 4217."""


class PlaybookSpec(Spec):
    """A whole playbook; ``docs/playbook.md`` explains each key."""

    name: Name
    version: Version
    currency: Currency
    min_order_minor: Minor = 1
    lateness: Duration = 7 * DAY
    dedupe_window: Annotated[int, Field(strict=True, ge=1, le=65_536)] = 256
    rfm: RfmSpec
    stages: StagesSpec = StagesSpec()
    tags: Annotated[tuple[TagSpec, ...], Field(max_length=256)] = ()
    points: PointsSpec | None = None
    tiers: TiersSpec | None = None
    timezone: ZoneName = "UTC"
    consent: ConsentSpec = Field(default_factory=dict)
    quiet_hours: QuietHoursSpec | None = None
    caps: tuple[CapSpec, ...] = ()
    holdout: HoldoutSpec | None = None
    sops: tuple[SopSpec, ...] = ()
    funnels: tuple[FunnelSpec, ...] = ()
