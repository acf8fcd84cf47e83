"""Turntables as MP4 files that every browser plays."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg
import numpy as np

from holofusion.utils.files import UserError, replacing

QUALITY = "18"  # of x264: constant rate factor, at which artefacts are not seen


def write_video(frames: np.ndarray, path: Path, per_second: float) -> None:
    """Write frames (N, S, S, 3) uint8 as H.264 in MP4; odd sides lose a pixel, which the format asks for.

    Raises UserError where the encoder fails.
    """
    side = frames.shape[1] // 2 * 2
    with replacing(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary),
            (side, side),
            fps=per_second,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            output_params=["-crf", QUALITY, "-threads", "1", "-movflags", "+faststart", "-fflags", "+bitexact"],
            ffmpeg_log_level="error",
        )
        try:
            writer.send(None)
            for frame in frames[:, :side, :side]:
                writer.send(np.ascontiguousarray(frame))
        except OSError as error:
            raise UserError(f"{path}: the video could not be written ({error})") from None
        finally:
            writer.close()
