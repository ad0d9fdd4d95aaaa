"""Fitted thresholds on disk: they belong to one version of the weights and to the requests that they were fitted on.

The file has its own digest as its version, and is refused for other weights: after every promotion it is fitted again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from builderbrain.errors import CheckpointError, ConfigError
from builderbrain.storage import canonical_json, write_atomic

FORMAT = "builderbrain-deferral-1"
Bound = Literal["answered_and_wrong", "wrong_given_answered"]
ANSWERED_AND_WRONG: Bound = "answered_and_wrong"
WRONG_GIVEN_ANSWERED: Bound = "wrong_given_answered"


def check_level(level: float, *, field: str = "level") -> None:
    """Refuse what is no share strictly between 0 and 1.

    Raises:
        ConfigError: `field` names it.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"expected {field} above 0 and under 1, got {level}; 0.05 is usual", field=field)


@dataclass(frozen=True, kw_only=True)
class FittedThreshold:
    """What holds a level: requests at least as sure as `least` are answered, none where it is None, and `reason` says why.

    Of `requests` of the fit so many were `answered`, and so many of them `wrong`. `certainty` is that of the bound over the
    draw of the requests; None for one that holds on average over them.
    """

    bound: Bound
    level: float
    certainty: float | None
    least: float | None
    reason: str | None
    requests: int
    answered: int
    wrong: int


@dataclass(frozen=True, kw_only=True)
class DomainCalibration:
    """One domain's part.

    Args:
        enforced: which bound is used; the other one is there to be read.
        level: the error level.
        thresholds: one for each bound.
        wrong: confidences of the wrong requests of the fit, the greatest first.
        reference: features of the requests of the fit by name, against which a shift is looked for; `confidence` is one.
    """

    domain: str
    enforced: Bound
    level: float
    thresholds: tuple[FittedThreshold, ...]
    wrong: tuple[float, ...]
    reference: Mapping[str, tuple[float, ...]]

    @property
    def threshold(self) -> FittedThreshold:
        """The one that is enforced."""
        return next(one for one in self.thresholds if one.bound == self.enforced)


@dataclass(frozen=True, kw_only=True)
class DeferralTable:
    """The domains of one version of the weights. `calibration_sha256` is of the labelled requests."""

    weight_version: str
    calibration_sha256: str
    domains: tuple[DomainCalibration, ...]
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The first 12 hexadecimal digits of the sha256 of the content."""
        return hashlib.sha256(canonical_json(asdict(self))).hexdigest()[:12]

    def find(self, domain: str) -> DomainCalibration | None:
        """A domain's part, if it was fitted."""
        return next((found for found in self.domains if found.domain == domain), None)

    def save(self, file: Path) -> None:
        """Write it as JSON, whole or not at all."""
        write_atomic(file, canonical_json({"format": FORMAT, "version": self.version, **asdict(self)}))

    @staticmethod
    def load(file: Path, *, weight_version: str, calibration_sha256: str | None = None) -> DeferralTable:
        """Read one.

        Args:
            weight_version: of the weights that it is to be used with.
            calibration_sha256: of the requests that it must have been fitted on, where that is known.

        Raises:
            CheckpointError: it is missing, torn or changed, or was fitted for other weights or on other requests.
        """
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if value.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            version = value.pop("version")
            value["domains"] = tuple(_domain(found) for found in value["domains"])
            table = DeferralTable(**value)
            if table.version != version:
                raise ValueError("its content does not have the digest that it names")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"expected fitted deferral thresholds in {file}, got: {error}; fit them with `python -m builderbrain.eval "
                "deferral --save FOLDER`",
                field="deferral",
            ) from error
        if table.weight_version != weight_version:
            raise CheckpointError(
                f"{file} was fitted for the weights {table.weight_version}, these are {weight_version}; fit it anew, as after "
                "every promotion",
                field="deferral",
            )
        if calibration_sha256 is not None and table.calibration_sha256 != calibration_sha256:
            raise CheckpointError(
                f"{file} was fitted on the requests {table.calibration_sha256[:12]}, expected {calibration_sha256[:12]}; fit "
                "it anew",
                field="deferral",
            )
        return table


def calibration_digest(rows: Mapping[str, Any]) -> str:
    """sha256 of labelled requests, as JSON values by domain."""
    return hashlib.sha256(canonical_json(rows)).hexdigest()


def _domain(value: dict[str, Any]) -> DomainCalibration:
    thresholds = tuple(FittedThreshold(**found) for found in value.pop("thresholds"))
    wrong = tuple(float(one) for one in value.pop("wrong"))
    reference = {name: tuple(float(one) for one in row) for name, row in value.pop("reference").items()}
    found = DomainCalibration(thresholds=thresholds, wrong=wrong, reference=reference, **value)
    if found.enforced not in get_args(Bound) or {one.bound for one in thresholds} < {found.enforced}:
        raise ValueError(f"the domain {found.domain} has no threshold of the bound it enforces")
    if list(wrong) != sorted(wrong, reverse=True) or "confidence" not in reference:
        raise ValueError(f"the domain {found.domain} lacks confidences, or has them out of order")
    return found
