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
    # Cells of the fingerprint: what the search of the place leaves open when it is not the plain one. Of 29 mouths re-dubbed for
    # a second, cropped and mirrored, 3 lay below `differs` at .25, 1 at .2, none at .15; of 73 whole copies 68, 67, 66 agreed.
    placing: float = 0.15
    placed_lasting: float = 0.4  # cells, the same for what differs all along: edges within a cell are not known
    # Share of a deviation by which the mean of a moved cell differs all along, and share of the step to the next cell that its
    # deviation takes up. Without them 102 of 109 cropped and mirrored copies agreed, with them 105; re-dubbed mouths as before.
    placed_edge: float = 0.3
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
    motion_sure: float = 0.996  # below it, another speed may fit better: a tenth faster reaches .995 where little moves
    motion_at_speed: float = 0.85  # motion_same, where the speed was free to choose
    # Of the motion that 1.0 leaves open, the share that another speed may leave to be believed: 23 clips a tenth faster left
    # at most .25, the same clips in 5 copies at the right speed never less than .95.
    speed_explains: float = 0.5
    motion_other: float = 0.45  # correlation of motion below it: another performance
    layout_same: float = 0.95
    layout_other: float = 0.86  # crops and insets reach 0.98 and more, split screens 0.87; unrelated clips 0.57 to 0.88
    activity_other: float = 0.88  # unrelated clips reach 0.83 at their luckiest shift, honest copies that lie nowhere 0.93
    agreeing_other: float = 0.25  # share of the moving seconds that may agree by chance in another performance
    evidence_s: float = 2.0  # less than this decides nothing


DEFAULT = Tolerances()
