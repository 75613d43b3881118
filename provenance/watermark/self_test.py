"""How safely a mark was read back, for the self-test before release."""

from __future__ import annotations

from .detector import Detection


def margin(detection: Detection) -> float:
    """Evidence above what acceptance asks for, in nats; never above zero when the mark was not found."""
    spare = detection.log_evidence - detection.required_log_evidence
    return spare if detection.found else min(spare, 0.0)
