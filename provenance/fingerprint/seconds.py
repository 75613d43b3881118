"""What each second and each region of a file says, once file and record lie on one another in place and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from provenance.fingerprint.align import F64
from provenance.fingerprint.lattice import Lattice
from provenance.fingerprint.tolerances import Tolerances
from provenance.fingerprint.video import RATE_HZ, REGIONS
from provenance.signals import Agreement, SecondState


@dataclass(frozen=True, slots=True)
class Errors:
    """Differences of samples that belong together, (M, C): of means and of deviations within cells, with what is allowed.

    allowed: squared luma levels of change, (M, C); lasting: luma levels that may differ all along, (C,). times_s: (M,) of the
    file. lone_s: (L,) times of the file that have no counterpart in the record. motion: squared luma levels by which the
    livelier of both is away from its middle, (M, C).
    """

    means: F64
    motion: F64
    means_allowed: F64
    spreads: F64
    spreads_allowed: F64
    means_lasting: F64
    spreads_lasting: F64
    times_s: F64
    lone_s: F64


def compared_seconds(errors: Errors, cells: Lattice, duration_s: float, tolerances: Tolerances) -> tuple[SecondState, ...]:
    """One state per second of the file, the rest of a second at its end included; up to a quarter of one joins the last."""
    whole = max(1, int(np.ceil(duration_s - 2.01 / RATE_HZ)))
    number, lone = (np.minimum(times_s.astype(int), whole - 1) for times_s in (errors.times_s, errors.lone_s))
    means = _without_lasting(errors.means, errors.means_lasting)
    spreads = _without_lasting(errors.spreads, errors.spreads_lasting)
    states = []
    for second in range(whole):
        here = number == second
        of_means = _ratios(means[here], errors.means_allowed[here], cells)
        of_spreads = _ratios(spreads[here], errors.spreads_allowed[here], cells)
        of_motion = _unexplained(means[here], errors.motion[here], cells, tolerances)
        # What the record does not show is not ours, however little of it there is.
        if bool((lone == second).any()):
            of_means = np.full_like(of_means, np.inf)
        ratios = np.maximum(of_means, of_motion)
        ratios = np.maximum(ratios, of_spreads) if cells.comparable else ratios
        end_s = duration_s if second == whole - 1 else second + 1.0
        states.append(_second(float(second), end_s, ratios, tolerances, fine=cells.comparable))
    return tuple(states)


def median_over_time(values: F64) -> F64:
    """(C,) of (M, C); zeros when there is nothing."""
    return np.median(values, axis=0) if len(values) else np.zeros(values.shape[1])


def _without_lasting(errors: F64, lasting: F64) -> F64:
    """Squared errors. Blur, tone and small overlays stay where they are: forgiven up to a bound, so that changes show."""
    squared: F64 = (errors - np.clip(median_over_time(errors), -lasting, lasting)) ** 2
    return squared


def _ratios(squared: F64, allowed: F64, cells: Lattice) -> F64:
    """Error in tolerances, root mean square, of each region (16,); endless where the record shows nothing."""
    ratios = np.full(REGIONS * REGIONS, np.inf)
    if len(squared):
        count = np.bincount(cells.regions, minlength=len(ratios))
        sums = (np.bincount(cells.regions, values.mean(axis=0), len(ratios)) for values in (squared, allowed))
        error, tolerance = sums
        # a region whose cells all lie nearer to others' centres is judged by those
        ratios = np.where(count > 0, np.sqrt(error / np.maximum(tolerance, 1e-9)), 0.0)
    ratios[list(cells.uncovered)] = np.inf
    return ratios


def _unexplained(squared: F64, motion: F64, cells: Lattice, tolerances: Tolerances) -> F64:
    """Which share of the motion of each region the record does not explain, in tolerances, (16,); 0 where little moves.

    A small mouth moves less luma than an edge within a cell may, but another performance explains none of it.
    """
    shares = np.zeros(REGIONS * REGIONS)
    if not len(squared):
        return shares
    moving = motion.mean(axis=0) > tolerances.lively**2
    wrong, whole = (np.bincount(cells.regions[moving], values.mean(axis=0)[moving], len(shares)) for values in (squared, motion))
    scaled: F64 = np.divide(wrong, whole, out=shares, where=whole > 0) / tolerances.unexplained * tolerances.agrees
    return scaled


def _second(start_s: float, end_s: float, ratios: F64, tolerances: Tolerances, *, fine: bool) -> SecondState:
    differing = np.flatnonzero(ratios > tolerances.differs)
    undecided = int((ratios > tolerances.agrees).sum()) - len(differing)
    agreement = _agreement(differing, undecided, tolerances)
    if agreement is Agreement.AGREES and not fine:
        agreement = Agreement.INCONCLUSIVE  # means alone can be kept under other content
    return SecondState(start_s, end_s, agreement, round(float(ratios.max()), 3), tuple(int(region) for region in differing))


def _agreement(differing: npt.NDArray[np.int64], undecided: int, tolerances: Tolerances) -> Agreement:
    if len(differing) >= tolerances.alien_regions:
        return Agreement.NONE
    if len(differing):
        return Agreement.IN_PART
    return Agreement.AGREES if undecided <= tolerances.undecided_regions else Agreement.INCONCLUSIVE
