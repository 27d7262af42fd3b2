"""Videos: what is written decodes again, with its origin, and the same is always the same bytes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from danqing.artwork import image, video
from danqing.artwork.artwork import Artwork
from danqing.artwork.provenance import Provenance
from danqing.artwork.shelf import Shelf
from danqing.artwork.video import Video
from danqing.errors import BadRequest, OutputExists

ORIGIN = Provenance("explore", {"model": "山水"}, 3, {"山水": "0" * 64})


def moving(count: int = 12, height: int = 48, width: int = 64) -> np.ndarray:
    """A soft slope of colours that turns; every frame differs."""
    y, x = np.mgrid[:height, :width]
    frames = [np.stack([x * 2 + n * 5, y * 3 + n * 3, np.full_like(x, 60 + n * 8)], axis=2) for n in range(count)]
    return np.clip(np.stack(frames), 0, 255).astype(np.uint8)


def decoded(path: Path) -> tuple[np.ndarray, float]:
    """Frames (N, H, W, 3) and frames a second."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return np.stack(frames), float(container.streams.video[0].average_rate or 0)


def test_an_mp4_decodes_to_the_frames_that_went_in(tmp_path: Path):
    frames = moving()
    path = Artwork(Video(frames, 25), ORIGIN, "A walk").save(tmp_path / "walk.mp4")
    found, rate = decoded(path)
    assert (found.shape, rate) == (frames.shape, 25)
    assert np.abs(found.astype(int) - frames).mean() < 3
    with av.open(str(path)) as container:
        stream = container.streams.video[0].codec_context
        assert (stream.name, stream.color_primaries, stream.colorspace) == ("h264", 1, 1)
        assert container.metadata["title"] == "A walk"
        assert "trainedAlgorithmicMedia" in container.metadata["comment"]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # a browser begins at once


def test_an_mp4_of_odd_sides_gets_one_more_row_and_column(tmp_path: Path):
    path = Artwork(Video(moving(3, 33, 47), 10), ORIGIN).save(tmp_path / "odd.mp4")
    assert decoded(path)[0].shape == (3, 34, 48, 3)


def test_a_gif_decodes_to_the_frames_that_went_in_and_goes_round(tmp_path: Path):
    frames = moving()
    path = Artwork(Video(frames, 30), ORIGIN).save(tmp_path / "walk.gif")
    with Image.open(path) as found:
        assert (found.n_frames, found.size, found.info["loop"]) == (12, (64, 48), 0)
        total = 0
        for number in range(12):
            found.seek(number)
            total += found.info["duration"]
            assert np.abs(np.asarray(found.convert("RGB")).astype(int) - frames[number]).mean() < 4
    assert total == 400  # 12 / 30 s, though no frame of 33 ms can be written


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_the_origin_travels_inside_and_the_bytes_say_nothing_of_the_clock(tmp_path: Path, suffix: str):
    work = Artwork(Video(moving(4), 20), ORIGIN, "A walk")
    path = work.save(tmp_path / f"walk{suffix}")
    assert video.read_provenance(path) == ORIGIN
    assert work.encode(suffix) == path.read_bytes()
    bare = tmp_path / f"bare{suffix}"
    bare.write_bytes(video.encode_bytes(Video(moving(4), 20), suffix))
    assert video.read_provenance(bare) is None
    with pytest.raises(OutputExists, match="--force"):
        work.save(path)


def test_as_a_picture_a_video_is_the_strip_of_its_stills(tmp_path: Path):
    path = Artwork(Video(moving(), 6, (0, 6, 11)), ORIGIN).save(tmp_path / "strip.png")
    strip = image.read(path)
    assert strip.width > 3 * 64
    assert 48 < strip.height < 110
    assert image.read_provenance(path) == ORIGIN


def test_the_shelf_keeps_a_video_with_a_preview_and_forgets_it_whole(tmp_path: Path):
    shelf = Shelf(tmp_path / "home")
    work = shelf.add(Artwork(Video(moving(), 25, (5,)), ORIGIN, "A walk"))
    assert (work.media, work.path.suffix, work.width, work.height) == ("video", ".mp4", 64, 48)
    assert work.preview is not None
    with Image.open(work.preview) as preview:
        assert np.abs(np.asarray(preview.convert("RGB")).astype(int) - moving()[5]).mean() < 6
    assert shelf.get(work.id).provenance == ORIGIN
    shelf.remove(work.id)
    assert not [path for path in (tmp_path / "home").rglob("*") if path.is_file() and path.name.startswith(work.sha256)]


def test_what_lies_beside_a_picture_comes_and_goes_with_it(tmp_path: Path):
    picture = image.Picture(np.full((8, 8, 3), 0.5, np.float32))
    work = Artwork(picture, ORIGIN, beside={".latent.safetensors": b"code"})
    work.save(tmp_path / "a.png")
    assert (tmp_path / "a.latent.safetensors").read_bytes() == b"code"
    (tmp_path / "b.latent.safetensors").write_bytes(b"mine")
    with pytest.raises(OutputExists, match=r"b\.latent"):
        work.save(tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
    shelf = Shelf(tmp_path / "home")
    kept = shelf.add(work)
    beside = kept.path.with_name(f"{kept.sha256}.latent.safetensors")
    assert beside.read_bytes() == b"code"
    shelf.remove(kept.id)
    assert not beside.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Video(moving()[0], 25), "shape"),
        (lambda: Video(moving().astype(np.float32), 25), "uint8"),
        (lambda: Video(moving(), 0), "1 to 50 frames"),
        (lambda: Video(moving(), 25, (12,)), "stills"),
        (lambda: video.output_format(Path("walk.avi")), "walk.avi ends in '.avi'; a video is written as .mp4 or .gif"),
    ],
)
def test_what_is_no_video_is_refused(make, message: str):
    with pytest.raises(BadRequest, match=message):
        make()


@pytest.mark.parametrize("data", [b"GIF89a", b"\0\0\0\x08free" + b"\0" * 20, b"\0\0\0\x01uuid", b"no video"])
def test_a_damaged_file_has_no_origin_and_does_no_harm(tmp_path: Path, data: bytes):
    (tmp_path / "broken.mp4").write_bytes(data)
    assert video.read_provenance(tmp_path / "broken.mp4") is None
