"""What the launchers leave as termination messages: `job.sh` in the job's container, `dind.sh` in the sidecar."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What the daemon's side knows about a job that failed (`launcher/diagnosis.sh`)."""

    #: Name and image of the last inner container that the kernel killed for memory; empty for a step of a build.
    killed_name: str = ""
    killed_image: str = ""
    #: The memory limit that was hit in bytes, None if it is not known; only where `killed` is set.
    killed_limit: int | None = None
    killed: bool = False
    #: Size of the disk with Docker's data, and what is left of it, in bytes; None while it is not full.
    disk: tuple[int, int] | None = None
    #: The most memory that Docker's containers took together in bytes, None where it is not known.
    peak_memory: int | None = None

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Trouble:
        """The trouble that a report tells of, if any.

        Raises:
            KeyError, TypeError: the report is none of ours.
        """
        killed, disk = report.get("oomKilled"), report.get("disk")
        trouble: dict[str, Any] = {}
        if killed is not None:
            limit = killed["limit"]
            trouble = {
                "killed": True,
                "killed_name": str(killed["name"]),
                "killed_image": str(killed["image"]),
                "killed_limit": None if limit is None else _size(limit),
            }
        if disk is not None:
            trouble["disk"] = (_size(disk["size"]), _size(disk["free"]))
        if report.get("innerPeakMemory") is not None:
            trouble["peak_memory"] = _size(report["innerPeakMemory"])
        return cls(**trouble)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """What `job.sh` leaves as the job container's termination message."""

    exit_code: int
    #: daemon or services (the waits for them), before, or script.
    part: str
    #: The service that was not ready in time, with the part services.
    service: str = ""
    #: Number of the entry within its part, from 1; 0 if none had started.
    entry: int = 0
    #: The signal that `job.sh` got before the script ended, such as TERM; empty if none.
    signal: str = ""
    #: ready, lost, timeout or none.
    daemon: str = "none"
    #: Peak memory of the container in bytes, None where it could not be read.
    peak_memory: int | None = None
    trouble: Trouble = Trouble()

    @classmethod
    def parse(cls, text: str) -> JobReport | None:
        """The report in a termination message; None if that is none of ours (the job may write there too)."""
        data = _json_object(text)
        try:
            return cls(
                exit_code=_integer(data["exitCode"]),
                part=str(data["part"]),
                service=str(data.get("service") or ""),
                entry=_integer(data.get("entry") or 0),
                signal=str(data.get("signal") or ""),
                daemon=str(data["daemon"]),
                peak_memory=None if data.get("peakMemory") is None else _size(data["peakMemory"]),
                trouble=Trouble.of(data),
            )
        except (KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonReport:
    """What `dind.sh` leaves as the sidecar's termination message."""

    #: Whether the daemon ever answered.
    ready: bool
    #: What went wrong, in a line for people; empty if nothing is known.
    message: str = ""
    trouble: Trouble = Trouble()

    @classmethod
    def parse(cls, text: str) -> DaemonReport | None:
        """The report in a termination message; None if there is none (the sidecar was killed)."""
        data = _json_object(text)
        ready = data.get("ready")
        if not isinstance(ready, bool):
            return None
        try:
            trouble = Trouble.of(data)
        except (KeyError, TypeError):
            trouble = Trouble()
        return cls(ready=ready, message=str(data.get("message") or ""), trouble=trouble)


def _json_object(text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text) if text.startswith("{") else None
    except ValueError:
        return _EMPTY
    except RecursionError:
        return _EMPTY
    return data if isinstance(data, dict) else _EMPTY


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _size(value: object) -> int:
    size = _integer(value)
    if not 0 <= size < 1 << 63:
        raise TypeError(f"{size} is no number of bytes")
    return size
