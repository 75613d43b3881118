"""What marking costs: PSNR, SSIM and VMAF against the clip as it was, bit rate, and processor time beside an encoder's."""

from __future__ import annotations

import functools
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from tests.bench.watermark.ffmpeg import ffmpeg


@functools.lru_cache(maxsize=1)
def has_vmaf() -> bool:
    """Whether this ffmpeg carries libvmaf."""
    listed = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-filters"], capture_output=True, text=True)
    return " libvmaf " in listed.stdout


def compare(plain: Path, marked: Path) -> dict[str, float]:
    """Mean PSNR of luma and blue difference in dB, SSIM of luma, and VMAF (mean and worst frame) where ffmpeg has it."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.json"
        stats = {name: Path(folder) / name for name in ("psnr", "ssim")}
        ffmpeg(["-i", str(marked), "-i", str(plain), "-lavfi", f"psnr=stats_file={stats['psnr']}", "-f", "null", "-"])
        ffmpeg(["-i", str(marked), "-i", str(plain), "-lavfi", f"ssim=stats_file={stats['ssim']}", "-f", "null", "-"])
        figures = {
            "psnr_y": _mean(stats["psnr"], "psnr_y:"),
            "psnr_cb": _mean(stats["psnr"], "psnr_u:"),
            "ssim_y": _mean(stats["ssim"], "Y:"),
        }
        if has_vmaf():
            ffmpeg(["-i", str(marked), "-i", str(plain), "-lavfi", f"libvmaf=log_fmt=json:log_path={log}", "-f", "null", "-"])
            pooled: dict[str, Any] = json.loads(log.read_text())["pooled_metrics"]["vmaf"]
            figures |= {"vmaf": round(pooled["mean"], 2), "vmaf_worst": round(pooled["min"], 2)}
    return figures


def _mean(stats: Path, label: str) -> float:
    """Mean over frames of one value of a stats file; 99 stands for no difference at all."""
    words = [word for line in stats.read_text().splitlines() for word in line.split() if word.startswith(label)]
    finite = [min(float(word.removeprefix(label)), 99.0) for word in words]
    return round(sum(finite) / len(finite), 4)


def bit_rate_cost(plain: Path, marked: Path) -> dict[str, float]:
    """How much larger x264 medium at CRF 23 makes the marked clip, in percent, and its processor time on the plain one."""
    with tempfile.TemporaryDirectory() as folder:
        sizes, seconds = [], []
        for source in (plain, marked):
            encoded = Path(folder) / f"{source.stem}.mp4"
            seconds.append(
                ffmpeg(["-i", str(source), "-c:v", "libx264", "-preset", "medium", "-crf", "23", "-threads", "1", str(encoded)])
            )
            sizes.append(encoded.stat().st_size)
    return {"bit_rate_cost_percent": round(100.0 * (sizes[1] / sizes[0] - 1.0), 2), "x264_medium_s": round(seconds[0], 3)}
