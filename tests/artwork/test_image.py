"""Reading and writing pictures: what comes back is what went in, and what cannot be read is one clear line."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from danqing.artwork import image
from danqing.artwork.color import srgb_profile
from danqing.artwork.image import Picture, encode_bytes, read, read_mask, read_provenance, write
from danqing.errors import BadRequest, InvalidMedia, NotWritable, OutputExists

SUFFIXES = (".png", ".jpg", ".webp", ".tif")


def saved(path, picture: Image.Image, **options):
    picture.save(path, **options)
    return path


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def smooth(height=40, width=56) -> Picture:
    """A picture that lossy formats keep well."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    pixels = np.stack([down / height, across / width, np.full_like(down, 0.5)], axis=-1)
    return Picture(pixels, (down / height).copy())


# --- round trips ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_lossless_formats_keep_every_bit(tmp_path, make_picture, suffix, bits, alpha):
    picture = make_picture(bits=bits, alpha=alpha)
    write(picture, tmp_path / f"a{suffix}")
    back = read(tmp_path / f"a{suffix}")
    assert np.array_equal(back.pixels, picture.pixels)
    assert back.bits == bits
    assert (back.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        assert np.array_equal(back.alpha, picture.alpha)


def test_webp_keeps_alpha_and_nearly_the_colours(tmp_path):
    picture = smooth()
    write(picture, tmp_path / "a.webp")
    back = read(tmp_path / "a.webp")
    assert np.abs(back.pixels - picture.pixels).mean() < 0.02
    assert np.abs(back.alpha - picture.alpha).max() <= 0.5 / 255 + 1e-6


def test_jpeg_lays_a_transparent_picture_on_white(tmp_path):
    picture = smooth()
    write(picture, tmp_path / "a.jpg", quality=98)
    back = read(tmp_path / "a.jpg")
    expected = picture.pixels * picture.alpha[:, :, None] + 1 - picture.alpha[:, :, None]
    assert back.alpha is None
    assert np.abs(back.pixels - expected).mean() < 0.01


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_picture_and_provenance_give_the_same_bytes(make_picture, provenance, suffix):
    picture = make_picture(alpha=True)
    assert encode_bytes(picture, suffix, provenance) == encode_bytes(picture, suffix, provenance)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bits", [8, 16])
def test_provenance_comes_back_from_every_format(tmp_path, make_picture, provenance, suffix, bits):
    path = tmp_path / f"a{suffix}"
    write(make_picture(bits=bits), path, provenance=provenance)
    assert read_provenance(path) == provenance
    data = path.read_bytes()
    assert data.count(b"DigitalSourceType") == 1  # one packet, readable by other programs as it stands
    assert b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia" in data


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_programs_find_the_profile_and_no_private_data(tmp_path, make_picture, suffix):
    path = tmp_path / f"a{suffix}"
    write(make_picture(), path)
    assert read_provenance(path) is None
    with Image.open(path) as opened:
        assert opened.info["icc_profile"] == srgb_profile()
        # TIFF keeps its layout in tags; none of them may be a place, a camera, a date or a person
        assert not {271, 272, 305, 306, 315, 33432, 34665, 34853} & set(opened.getexif())


def test_a_photo_loses_its_place_and_camera_on_the_way(tmp_path):
    exif = Image.Exif()
    exif[271] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    source = saved(tmp_path / "photo.jpg", Image.new("RGB", (20, 20)), exif=exif)
    assert b"SecretCamera" in source.read_bytes()
    for suffix in SUFFIXES:
        out = tmp_path / f"out{suffix}"
        write(read(source), out)
        assert b"SecretCamera" not in out.read_bytes()


def test_mask_is_brightness_times_opacity(tmp_path):
    levels = np.zeros((2, 2, 4), np.uint8)
    levels[0, 0] = (255, 255, 255, 255)
    levels[0, 1] = (255, 255, 255, 51)
    levels[1, 0] = (0, 255, 0, 255)
    Image.fromarray(levels).save(tmp_path / "m.png")
    mask = read_mask(tmp_path / "m.png")
    assert mask.dtype == np.float32
    assert mask == pytest.approx(np.array([[1, 0.2], [0.7152, 0]]), abs=1e-6)


# --- what files say about their pixels ------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path, suffix, orientation):
    """Stored so that, seen as EXIF says, the picture is red at top left, green at top right, blue at bottom left."""
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:16, :24], upright[:16, 24:], upright[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),  # the camera's right is the picture's top: turned back by 90° clockwise
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    back = read(path)
    assert (back.height, back.width) == (32, 48)
    for spot, colour in (((8, 12), (1, 0, 0)), ((8, 36), (0, 1, 0)), ((24, 12), (0, 0, 1)), ((24, 36), (0, 0, 0))):
        assert back.pixels[spot] == pytest.approx(colour, abs=0.05)


def test_orientation_of_16_bit_tiff_and_png(tmp_path):
    levels = np.arange(6, dtype=np.uint16).reshape(2, 3, 1).repeat(3, axis=2) * 9999
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="rgb", extratags=[(274, 3, 1, 6, True)], metadata=None)
    exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    png = imagecodecs.png_encode(levels)
    (tmp_path / "a.png").write_bytes(png[:33] + chunk(b"eXIf", exif) + png[33:])
    expected = np.rot90(levels, -1).astype(np.float32) / 65535
    for name in ("a.tif", "a.png"):
        assert np.allclose(read(tmp_path / name).pixels, expected)


def adobe_to_srgb(values: np.ndarray) -> np.ndarray:
    """Adobe RGB (1998) → sRGB from the two standards' primaries and curves, D65 on both sides."""

    def to_xyz(corners):
        x, y = np.array(corners).T
        columns = np.stack([x / y, np.ones(3), (1 - x - y) / y])
        white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
        return columns * np.linalg.solve(columns, white)

    adobe = to_xyz([(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)])
    srgb = to_xyz([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)])
    light = np.clip(values ** (563 / 256) @ (np.linalg.inv(srgb) @ adobe).T, 0, 1)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize(("dtype", "within"), [(np.uint8, 1.0 / 255), (np.uint16, 0.0015)])
def test_adobe_rgb_is_converted_to_srgb(tmp_path, dtype, within):
    rng = np.random.default_rng(1)
    full = np.iinfo(dtype).max
    levels = (rng.random((8, 9, 3)) * full).astype(dtype)
    profile = imagecodecs.cms_profile("adobergb")
    png = imagecodecs.png_encode(levels)
    png = png[:33] + chunk(b"iCCP", b"adobe\0\0" + zlib.compress(profile)) + png[33:]
    (tmp_path / "a.png").write_bytes(png)
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="rgb", iccprofile=profile, metadata=None)
    for name in ("a.png", "a.tif"):
        back = read(tmp_path / name)
        assert np.abs(back.pixels - adobe_to_srgb(levels / full)).max() < within
        assert np.abs(back.pixels - levels / full).max() > 0.03  # and it does make a difference


def test_grey_with_a_linear_profile_is_converted(tmp_path):
    profile = imagecodecs.cms_profile("gray", gamma=1.0)
    levels = np.array([[0, 64, 128, 255]], np.uint8)
    saved(tmp_path / "a.png", Image.fromarray(levels), icc_profile=profile)
    tifffile.imwrite(tmp_path / "a.tif", levels.astype(np.uint16) * 257, iccprofile=profile, metadata=None)
    for name in ("a.png", "a.tif"):
        assert read(tmp_path / name).pixels[0, :, 1] == pytest.approx([0, 0.5371, 0.7369, 1], abs=2.5 / 255)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_profile_that_is_srgb_under_another_name_changes_nothing(tmp_path, make_picture, bits):
    path = tmp_path / "a.tif"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = make_picture(bits=bits)
    levels = np.rint(picture.pixels * (2**bits - 1)).astype(f"uint{bits}")
    tifffile.imwrite(path, levels, photometric="rgb", iccprofile=profile, metadata=None)
    assert np.array_equal(read(path).pixels, picture.pixels)


@pytest.mark.parametrize("profile", [b"", b"not a profile", srgb_profile()[:200], b"\xff" * 600])
def test_a_broken_profile_is_passed_over(tmp_path, profile):
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (8, 8), (200, 100, 50)), icc_profile=profile, quality=100)
    assert read(path).pixels[0, 0] * 255 == pytest.approx([200, 100, 50], abs=3)


def test_cmyk_without_a_profile(tmp_path):
    levels = np.zeros((16, 32, 4), np.uint8)
    levels[:, :16] = (255, 0, 0, 0)  # cyan ink
    levels[:, 16:] = (0, 0, 0, 128)  # half black
    for name in ("a.jpg", "a.tif"):
        back = read(saved(tmp_path / name, Image.fromarray(levels, "CMYK")))
        assert back.pixels[8, 8] == pytest.approx([0, 1, 1], abs=0.02)
        assert back.pixels[8, 24] == pytest.approx([0.498] * 3, abs=0.02)


def test_cmyk_of_16_bits(tmp_path):
    levels = np.zeros((2, 2, 4), np.uint16)
    levels[0, 0] = (65535, 0, 0, 0)
    tifffile.imwrite(tmp_path / "a.tif", levels, photometric="separated", metadata=None)
    back = read(tmp_path / "a.tif")
    assert back.pixels[0, 0] == pytest.approx([0, 1, 1])
    assert back.pixels[1, 1] == pytest.approx([1, 1, 1])


def test_palette_with_transparency_grey_alpha_and_black_and_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    back = read(saved(tmp_path / "p.png", palette, transparency=bytes([0, 128, 255])))
    assert np.array_equal(back.pixels[0], [[1, 0, 0], [0, 1, 0]])
    assert back.alpha == pytest.approx(np.array([[0, 128 / 255], [1, 0]]))
    back = read(saved(tmp_path / "la.png", Image.new("LA", (3, 2), (51, 102))))
    assert back.pixels[0, 0] == pytest.approx([0.2] * 3)
    assert back.alpha[0, 0] == pytest.approx(0.4)
    back = read(saved(tmp_path / "bw.png", Image.new("1", (3, 2), 1)))
    assert (back.pixels == 1).all()
    assert back.alpha is None


def test_transparent_colour_of_a_16_bit_png(tmp_path):
    levels = np.full((2, 2, 3), 1000, np.uint16)
    levels[1, 1] = 1001
    png = imagecodecs.png_encode(levels)
    (tmp_path / "a.png").write_bytes(png[:33] + chunk(b"tRNS", struct.pack(">3H", 1001, 1001, 1001)) + png[33:])
    assert np.array_equal(read(tmp_path / "a.png").alpha, [[1, 1], [1, 0]])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_of_every_kind_keeps_its_precision(tmp_path, channels):
    levels = np.random.default_rng(0).integers(0, 65536, (5, 7, channels)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(levels[:, :, 0].copy() if channels == 1 else levels))
    back = read(tmp_path / "a.png")
    assert back.bits == 16
    colours = levels[:, :, : 1 if channels < 3 else 3] / np.float32(65535)
    assert np.array_equal(back.pixels, np.broadcast_to(colours, (5, 7, 3)))
    assert (back.alpha is not None) == (channels in (2, 4))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": None, "byteorder": ">"},
        {"compression": "zstd", "tile": (16, 16)},
        {"bigtiff": True, "rowsperstrip": 3},
        {"planarconfig": "separate", "compression": "zlib"},
    ],
)
def test_16_bit_tiff_of_every_layout(tmp_path, options):
    levels = np.random.default_rng(0).integers(0, 65536, (20, 33, 3)).astype(np.uint16)
    planar = options.get("planarconfig") == "separate"
    data = np.moveaxis(levels, 2, 0) if planar else levels
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="rgb", metadata=None, **options)
    back = read(tmp_path / "a.tif")
    assert back.bits == 16
    assert np.array_equal(back.pixels, levels / np.float32(65535))


def test_tiff_where_white_is_zero_and_where_colours_were_multiplied_by_alpha(tmp_path):
    levels = np.array([[0, 65535, 13107]], np.uint16)
    tifffile.imwrite(tmp_path / "w.tif", levels, photometric="miniswhite", metadata=None)
    assert read(tmp_path / "w.tif").pixels[0, :, 0] == pytest.approx([1, 0, 0.8])
    multiplied = np.array([[[16384, 8192, 0, 32768], [0, 0, 0, 0]]], np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", multiplied, photometric="rgb", extrasamples=["assocalpha"], metadata=None)
    back = read(tmp_path / "m.tif")
    assert back.pixels[0, 0] == pytest.approx([0.5, 0.25, 0], abs=1e-4)
    assert back.alpha[0] == pytest.approx([0.5, 0], abs=1e-4)


def test_a_preview_beside_the_picture_is_no_second_page(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.full((64, 64, 3), 200, np.uint8), photometric="rgb", metadata=None)
        tiff.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    assert read(tmp_path / "a.tif").width == 64


def test_tiff_with_palette_and_in_black_and_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    back = read(saved(tmp_path / "p.tif", palette))
    assert np.array_equal(back.pixels, [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [1, 0, 0]]])
    for options in ({}, {"compression": "group4"}):
        back = read(saved(tmp_path / "bw.tif", Image.fromarray(np.eye(20) > 0), **options))
        assert np.array_equal(back.pixels[:, :, 0], np.eye(20))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_tiff_of_8_bits_agrees_with_pillow(tmp_path, compression):
    levels = np.rint(smooth().pixels * 255).astype(np.uint8)
    path = saved(tmp_path / "a.tif", Image.fromarray(levels), compression=compression)
    with Image.open(path) as opened:
        assert np.array_equal(np.rint(read(path).pixels * 255), np.asarray(opened))


def test_a_single_pixel_is_a_picture(tmp_path):
    for suffix in SUFFIXES:
        back = read(saved(tmp_path / f"a{suffix}", Image.new("RGB", (1, 1), (255, 255, 255))))
        assert back.pixels.shape == (1, 1, 3)


@pytest.mark.parametrize("name", ["photo", "photo.download", "photo.JPG", "photo.jfif"])
def test_names_that_claim_nothing_else_are_fine(tmp_path, name):
    saved(tmp_path / name, Image.new("RGB", (4, 4)), format="JPEG")
    assert read(tmp_path / name).width == 4


# --- what is refused ------------------------------------------------------------------------------------------------


def refused(path, *words, **options):
    """The message: one line, naming the file and saying what is wrong."""
    with pytest.raises(InvalidMedia) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert os.path.basename(path) in message  # noqa: PTH119
    for word in words:
        assert word in message
    return message


def test_things_that_are_no_file_with_a_picture(tmp_path):
    refused(tmp_path / "missing.jpg", "is not there")
    refused(tmp_path, "is a folder")
    (tmp_path / "empty.png").write_bytes(b"")
    refused(tmp_path / "empty.png", "is empty")
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "pipe or a device")
    refused("/dev/zero", "pipe or a device")
    (tmp_path / "words.jpg").write_text("a poem")
    refused(tmp_path / "words.jpg", "no picture that we know", "PNG, JPEG, WebP and TIFF")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "cannot be read")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("RGB", (2, 2)))

    def denied(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", denied)  # root reads everything, so the test says no itself
    refused(path, "may not be read")


@pytest.mark.parametrize(
    ("data", "format"),
    [
        (b"GIF89a" + bytes(50), "GIF"),
        (b"BM" + bytes(50), "BMP"),
        (b"\0\0\0\x20ftypheic" + bytes(50), "HEIC"),
        (b"\0\0\0\x20ftypavif" + bytes(50), "AVIF"),
        (b"8BPS" + bytes(50), "Photoshop"),
        (b"<svg xmlns='x'/>", "SVG"),
    ],
)
def test_other_formats_are_named(tmp_path, data, format):
    (tmp_path / "a.bin").write_bytes(data)
    refused(tmp_path / "a.bin", f"holds {format}")


def test_a_name_that_lies_is_refused_and_the_right_one_offered(tmp_path):
    saved(tmp_path / "a.png", Image.new("RGB", (4, 4)), format="JPEG")
    refused(tmp_path / "a.png", "named as PNG but holds JPEG", "name it a.jpg")
    saved(tmp_path / "b.heic", Image.new("RGB", (4, 4)), format="PNG")
    refused(tmp_path / "b.heic", "named as HEIC but holds PNG", "name it b.png")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_file_cut_short_is_refused(tmp_path, make_picture, suffix, bits, part):
    data = encode_bytes(make_picture(60, 60, bits=bits), suffix)
    (tmp_path / f"a{suffix}").write_bytes(data[: int(len(data) * part)])
    message = refused(tmp_path / f"a{suffix}", "damaged", "Nothing was written.")
    if suffix != ".tif":  # a TIFF may keep its directory anywhere: what is missing shows itself as damage
        assert "ends " in message


@pytest.mark.parametrize("options", [{"compression": "zlib"}, {"compression": None}, {"compression": "lzw"}])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_with_its_last_strip_missing_is_refused(tmp_path, options, dtype):
    levels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(dtype)
    out = io.BytesIO()
    tifffile.imwrite(out, levels, photometric="rgb", rowsperstrip=8, metadata=None, **options)
    (tmp_path / "a.tif").write_bytes(out.getvalue()[:-40])
    refused(tmp_path / "a.tif", "ends early")


def test_animations_and_documents_are_refused(tmp_path):
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (0, 100, 200)]
    for name in ("a.png", "a.webp"):
        saved(tmp_path / name, frames[0], save_all=True, append_images=frames[1:])
        refused(tmp_path / name, "animated (3 frames)")
    saved(tmp_path / "a.tif", frames[0], save_all=True, append_images=frames[1:])
    refused(tmp_path / "a.tif", "several pages")


def test_sides_and_areas_are_bounded_before_decoding(tmp_path):
    pixels = zlib.compress(bytes(1000))  # far too little data for the size that the header claims

    def png(width, height):
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

    for width, height, words in (
        (60_000, 60_000, "60000×60000"),
        (60_000, 1, "at most 32,768"),
        (20_000, 20_000, "400"),
    ):
        (tmp_path / "bomb.png").write_bytes(png(width, height))
        refused(tmp_path / "bomb.png", words)
    path = saved(tmp_path / "a.jpg", Image.new("RGB", (100, 50)))
    refused(path, "100×50", max_pixels=4999)
    assert read(path, max_pixels=5000).width == 100
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((50, 100), np.uint16), metadata=None)
    refused(tmp_path / "a.tif", "100×50", max_pixels=4999)
    saved(tmp_path / "a.webp", Image.new("RGB", (100, 50)))
    refused(tmp_path / "a.webp", "100×50", max_pixels=4999)


@pytest.mark.parametrize("dtype", [np.float32, np.uint32, np.int16])
def test_numbers_that_are_no_picture(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), dtype), metadata=None)
    refused(tmp_path / "a.tif", "8 or 16 bits")


@pytest.mark.parametrize("compression", ["jpeg", "zlib"])
def test_a_strip_larger_inside_than_outside_is_refused(tmp_path, compression):
    """The bomb that no header shows: a small TIFF whose strips unpack to something else."""
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((512, 512, 3), np.uint8), photometric="rgb", compression=compression, metadata=None)
    data = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for code, value in ((256, 16), (257, 16), (278, 16)):  # width, height, rows per strip
            place = file.pages.first.tags[code].valueoffset
            data[place : place + 2] = struct.pack("<H", value)
    (tmp_path / "a.tif").write_bytes(data)
    refused(tmp_path / "a.tif", "TIFF data is damaged")


def test_decoders_write_nothing_to_the_terminal(tmp_path, make_picture, capfd):
    """Neither their own words about a damaged profile nor those about damaged strips."""
    png = encode_bytes(make_picture(bits=16), ".png")
    (tmp_path / "a.png").write_bytes(png[:33] + chunk(b"iCCP", b"x\0\0junk") + png[33:])
    tif = bytearray(encode_bytes(make_picture(), ".tif"))
    tif[-300:] = bytes(300)
    (tmp_path / "a.tif").write_bytes(tif)
    for name in ("a.png", "a.tif"):
        with contextlib.suppress(InvalidMedia):  # pixels may be whole beside a damaged profile
            read(tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_whatever_a_decoder_raises_is_one_error(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.new("RGB", (4, 4)))
    for error in (
        RecursionError("deep"),
        MemoryError(),
        struct.error("short"),
        SyntaxError("odd"),
        OverflowError("big"),
    ):

        def broken(*_, error=error):
            raise error

        monkeypatch.setattr(image, "_from_pillow", broken)
        refused(path)


# --- writing --------------------------------------------------------------------------------------------------------


def test_a_suffix_that_we_do_not_write(tmp_path, make_picture):
    for name, word in (("a.gif", "'.gif'"), ("a", "no suffix")):
        with pytest.raises(BadRequest, match=word):
            write(make_picture(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_without_force(tmp_path, make_picture):
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(OutputExists, match="--force"):
        write(make_picture(), path)
    assert path.read_bytes() == b"precious"
    write(make_picture(), path, force=True)
    assert read(path).width == 17
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadRequest, match="is a folder"):
        write(make_picture(), tmp_path / "folder.png", force=True)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(BadRequest, match="pipe or a device"):
        write(make_picture(), tmp_path / "pipe.png", force=True)


def test_places_that_cannot_be_written(tmp_path, make_picture, monkeypatch):
    with pytest.raises(NotWritable, match="is not there"):
        write(make_picture(), tmp_path / "missing" / "a.png")
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(NotWritable, match="may not be written"):
        write(make_picture(), tmp_path / "a.png")


def test_sizes_and_qualities_that_a_format_cannot_hold(make_picture):
    with pytest.raises(BadRequest, match="16,383"):
        encode_bytes(Picture(np.zeros((1, 16_384, 3), np.float32)), ".webp")
    with pytest.raises(BadRequest, match="quality is 101"):
        encode_bytes(make_picture(), ".jpg", quality=101)


@pytest.mark.parametrize(
    ("pixels", "alpha", "bits"),
    [
        (np.zeros((2, 2), np.float32), None, 8),
        (np.zeros((2, 0, 3), np.float32), None, 8),
        (np.zeros((2, 2, 3), np.float64), None, 8),
        (np.full((2, 2, 3), np.nan, np.float32), None, 8),
        (np.full((2, 2, 3), 1.01, np.float32), None, 8),
        (np.zeros((2, 2, 3), np.float32), np.zeros((2, 3), np.float32), 8),
        (np.zeros((2, 2, 3), np.float32), None, 12),
    ],
)
def test_a_picture_is_what_it_says(pixels, alpha, bits):
    with pytest.raises(BadRequest):
        Picture(pixels, alpha, bits)
