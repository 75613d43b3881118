"""The number that stills carry: read back after compression, unseen in luma, and in no still that is too small for it."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from provenance.watermark import PictureTooSmall
from provenance.watermark.stills import mark_still, read_still_key

NUMBER = 0x9A2F4C19


def still(side: int = 384) -> torch.Tensor:
    picture = Image.fromarray(skimage.data.astronaut()).resize((side, side), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture))


def through_jpeg(rgb: torch.Tensor, quality: int, subsampling: int) -> torch.Tensor:
    out = io.BytesIO()
    Image.fromarray(rgb.numpy()).save(out, "JPEG", quality=quality, subsampling=subsampling)
    return torch.from_numpy(np.array(Image.open(out)))


@pytest.mark.parametrize(("quality", "subsampling"), [(92, 0), (75, 0), (85, 2)], ids=["as posters are", "harder", "4:2:0"])
def test_the_number_outlives_jpeg(quality: int, subsampling: int) -> None:
    assert read_still_key(through_jpeg(mark_still(still(), NUMBER), quality, subsampling)) == NUMBER


def test_luma_is_left_to_the_mark_of_the_video() -> None:
    before, after = still().float(), mark_still(still(), NUMBER).float()
    weights = torch.tensor([0.299, 0.587, 0.114])
    assert float(((after - before) @ weights).abs().mean()) < 0.5


def test_an_unmarked_still_decodes_to_something_else() -> None:
    assert read_still_key(still()) != NUMBER


def test_too_small_a_still_is_refused_and_never_read() -> None:
    with pytest.raises(PictureTooSmall, match="256"):
        mark_still(still(128), NUMBER)
    assert read_still_key(still(128)) is None


def test_the_package_is_loaded_with_the_first_still_only() -> None:
    script = "import sys, provenance.watermark.stills; sys.exit(bool({'imwatermark', 'cv2', 'pywt'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], check=False, env=environment).returncode == 0
