"""Where agreement ends and where contradiction begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Luma is in levels of 8 bits. Error rates at these figures: `./dev bench fingerprint`."""

    noise: float = 1.0  # one cell over time: half size at CRF 28 moves it by 0.3 to 0.8
    spread: float = 1.3  # deviation within one cell over time: half size at CRF 28 moves it by 0.4 to 1.3
    static: float = 3.0  # one cell for the whole clip: blur and tone; half size at CRF 28 gives up to 1.7
    timing_s: float = 0.012  # what the search of the offset leaves open
    placing: float = 0.25  # cells of the fingerprint: what the search of the place leaves open when it is not the plain one
    placed_lasting: float = 0.4  # cells, the same for what differs all along: edges within a cell are not known
    placed_spread: float = 0.35  # share of a deviation that a moved cell changes over time
    placed_spread_lasting: float = 0.8  # and all along
    lively: float = 2.5  # luma levels by which a cell must move in a second for its course to count
    unexplained: float = 0.45  # share of a region's motion: copies stay below 0.3, another performance leaves 0.4 to 1
    agrees: float = 1.7  # in tolerances, the worst region of a second; half size at CRF 28 reaches 1.2
    differs: float = 2.4  # a mouth that plays another moment starts at 3
    undecided_regions: int = 2  # of 16, in one second that still agrees
    alien_regions: int = 12  # of 16 that differ: the second shows something else
    motion: float = 1.5  # temporal spread of a cell that says something
    motion_same: float = 0.8  # correlation of motion above it: one performance
    motion_sure: float = 0.92  # below it, another speed may fit better
    motion_at_speed: float = 0.85  # the same, where the speed was free to choose
    motion_other: float = 0.45  # and below it: another one
    layout_same: float = 0.95
    layout_other: float = 0.86  # crops and insets reach 0.98 and more, split screens 0.87; unrelated clips 0.57 to 0.88
    activity_other: float = 0.8  # unrelated clips of 4 s reach 0.8 at their luckiest shift, tilted copies 0.97
    agreeing_other: float = 0.25  # share of the moving seconds that may agree by chance in another performance
    evidence_s: float = 2.0  # less than this decides nothing


DEFAULT = Tolerances()
