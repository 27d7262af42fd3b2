"""What all methods share: sizes, masks, mixes, colours, transparency, provenance. The painters here are one-liners."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from danqing.arts import Tools, stylize
from danqing.arts.stylize import Stylize
from danqing.artwork.artwork import Artwork
from danqing.artwork.image import Picture, read, write
from danqing.artwork.request import Step
from danqing.compute.checkpoint import pack, save_weights, sha256_of
from danqing.encode.image import luminance, to_tensor
from danqing.errors import BadRequest, InvalidMedia, Unavailable, UnknownName
from danqing.techniques.backbone import Backbone
from danqing.techniques.backbone import Config as BackboneConfig
from danqing.techniques.fast_style import Config as PainterConfig
from danqing.techniques.fast_style import Painter

Paint = Callable[[Callable], None]


def ramp(height: int = 48, width: int = 64) -> NDArray[np.float32]:
    """A colourful picture without two equal columns."""
    x = np.linspace(0.1, 0.9, width, dtype=np.float32)[None, :, None]
    y = np.linspace(0.2, 0.8, height, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(np.concatenate([x + 0 * y, y + 0 * x, 1 - x * y], axis=2))


def save(path: Path, values: NDArray[np.float32], alpha: NDArray[np.float32] | None = None, bits: int = 8) -> Path:
    write(Picture(values, alpha, bits), path)
    return path


def grey_picture(path: Path, values: NDArray[np.float32]) -> Path:
    return save(path, np.repeat(values[:, :, None], 3, axis=2).astype(np.float32))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return save(tmp_path / "photo.png", ramp())


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    return save(tmp_path / "painting.png", ramp(40, 40)[::-1].copy())


@pytest.fixture
def paint(monkeypatch: pytest.MonkeyPatch) -> Paint:
    """Puts a painter of the test's own in the place of method patch."""
    return lambda painter: monkeypatch.setitem(stylize._METHODS, "patch", painter)


def make(tools: Tools, photo: Path, *styles: object, **options: object) -> Artwork:
    return stylize.create(Stylize(photo, tuple(map(str, styles)), **{"size": 64, "seed": 1, **options}), tools)


def black(job: stylize._Job) -> torch.Tensor:
    return torch.zeros_like(job.photo)


def test_strength_0_is_the_photo_at_the_asked_size(tools: Tools, photo: Path, painting: Path):
    assert np.allclose(make(tools, photo, painting, strength=0.0).content.pixels, ramp(), atol=0.003)
    assert make(tools, photo, painting, strength=0.0, size=96).content.pixels.shape == (72, 96, 3)


def test_size_0_keeps_the_photos_own_size(tools: Tools, photo: Path, painting: Path, paint: Paint):
    paint(black)
    assert make(tools, photo, painting, size=0).content.pixels.shape == (48, 64, 3)


def test_one_mask_says_where_it_is_painted(tools: Tools, photo: Path, painting: Path, paint: Paint, tmp_path: Path):
    paint(black)
    mask = np.zeros((48, 64), np.float32)
    mask[:, 32:] = 1
    mask[:, 31] = 0.5
    result = make(tools, photo, painting, masks=(grey_picture(tmp_path / "mask.png", mask),)).content.pixels
    assert np.allclose(result[:, :31], ramp()[:, :31], atol=0.003)
    assert np.allclose(result[:, 31], ramp()[:, 31] / 2, atol=0.005)
    assert not result[:, 32:].any()


def test_one_mask_for_each_style_says_where_that_style_goes(
    tools: Tools, photo: Path, painting: Path, paint: Paint, tmp_path: Path
):
    """Left: the first style; right: the second; in the middle both with their mix; at the bottom the photo stays."""
    left, right = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.float32)
    left[:40, :40], right[:40, 24:] = 1, 1
    shares: list[torch.Tensor] = []
    paint(lambda job: shares.append(job.scene.share) or black(job))
    masks = (grey_picture(tmp_path / "left.png", left), grey_picture(tmp_path / "right.png", right))
    result = make(tools, photo, painting, painting, mix=(3, 1), masks=masks).content.pixels
    share = shares[0]
    assert share.shape == (2, 48, 64)
    assert torch.allclose(share.sum(0), torch.ones(48, 64))
    assert share[:, 10, 10].tolist() == [1, 0]
    assert share[:, 10, 60].tolist() == [0, 1]
    assert share[:, 10, 32].tolist() == [0.75, 0.25]
    assert not result[:40].any()
    assert np.allclose(result[41:], ramp()[41:], atol=0.003)


def test_styles_are_mixed_equally_unless_told_otherwise(tools: Tools, photo: Path, painting: Path, paint: Paint):
    shares: list[torch.Tensor] = []
    paint(lambda job: shares.append(job.scene.share) or black(job))
    make(tools, photo, painting, painting)
    make(tools, photo, painting, painting, mix=(6, 2))
    assert [share[:, 0, 0].tolist() for share in shares] == [[0.5, 0.5], [0.75, 0.25]]


def test_masks_follow_the_photo_to_another_size(
    tools: Tools, photo: Path, painting: Path, paint: Paint, tmp_path: Path
):
    paint(black)
    mask = grey_picture(tmp_path / "mask.png", np.ones((48, 64), np.float32))
    assert not make(tools, photo, painting, size=128, masks=(mask,)).content.pixels.any()


def test_kept_colours_are_the_photos_and_the_brightness_is_the_paintings(
    tools: Tools, photo: Path, painting: Path, paint: Paint
):
    given: list[torch.Tensor] = []

    def darker(job: stylize._Job) -> torch.Tensor:
        given.extend([job.photo, job.picture(job.chosen[0])])
        return job.photo * 0.8

    paint(darker)
    result = make(tools, photo, painting, keep_colors=True).content
    for grey in given:
        assert torch.allclose(grey[:, 0], grey[:, 1])
        assert torch.allclose(grey[:, 0], grey[:, 2])
    assert abs(float(given[0].mean() - given[1].mean())) < 0.02  # the style is as bright as the photo
    before, after = ramp(), result.pixels
    assert float(luminance(to_tensor(result)).mean()) < float(luminance(to_tensor(Picture(before))).mean())
    assert (np.argmax(before, axis=2) == np.argmax(after, axis=2)).mean() > 0.95  # red stays red, blue blue


def test_transparency_and_16_bits_are_carried_through(tools: Tools, painting: Path, paint: Paint, tmp_path: Path):
    paint(black)
    alpha = np.linspace(0, 1, 48 * 64, dtype=np.float32).reshape(48, 64)
    result = make(tools, save(tmp_path / "clear.png", ramp(), alpha, bits=16), painting).content
    assert result.bits == 16
    assert result.alpha is not None
    assert np.allclose(result.alpha, alpha, atol=1e-4)


def test_what_is_transparent_in_a_style_is_white(tools: Tools, photo: Path, paint: Paint, tmp_path: Path):
    alpha = np.zeros((40, 40), np.float32)
    style = save(tmp_path / "clear.png", np.zeros((40, 40, 3), np.float32), alpha)
    seen: list[torch.Tensor] = []
    paint(lambda job: seen.append(job.picture(job.chosen[0])) or black(job))
    make(tools, photo, style)
    assert bool((seen[0] == 1).all())


def test_the_provenance_names_every_file_by_its_hash(tools: Tools, photo: Path, painting: Path, paint: Paint):
    paint(black)
    work = make(tools, photo, painting, seed=9, masks=(photo,))
    provenance = work.provenance
    assert provenance.seed == provenance.request["seed"] == 9
    assert [(parent.role, parent.name) for parent in provenance.parents] == [
        ("photo", "photo.png"),
        ("style", "painting.png"),
        ("mask", "photo.png"),
    ]
    assert provenance.parents[0].sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert provenance.request["styles"] == [{"name": "painting.png", "sha256": provenance.parents[1].sha256}]
    assert str(photo.parent) not in provenance.to_json()
    assert work.title == "photo, in the style of painting"


def test_a_seed_nobody_chose_is_written_down(tools: Tools, photo: Path, painting: Path, paint: Paint):
    seeds: list[int] = []
    paint(lambda job: seeds.append(job.seed) or black(job))
    work = make(tools, photo, painting, seed=None)
    assert work.provenance.seed == work.provenance.request["seed"] == seeds[0]


def named_style(tools: Tools, picture: Path) -> None:
    root = tools.styles.catalog.root
    (root / "exemplars").mkdir()
    write(read(picture), root / "exemplars" / "monet.webp")
    (root / "styles.toml").write_text(
        '[monet]\nzh = "莫奈"\ntitle = "Claude Monet"\naliases = ["印象派"]\npainters = ["Claude Monet"]\n'
        'years = [1865, 1926]\nworks = 40\nrights = "public domain"\n',
        encoding="utf-8",
    )


def test_a_style_can_be_named(tools: Tools, photo: Path, paint: Paint, tmp_path: Path):
    named_style(tools, save(tmp_path / "exemplar.webp", ramp(80, 80)))
    seen: list[torch.Tensor] = []
    paint(lambda job: seen.append(job.picture(job.chosen[0])) or black(job))
    work = make(tools, photo, "印象派")
    assert seen[0].shape == (1, 3, 64, 64)  # no larger than the painting needs
    assert work.provenance.request["styles"] == ["monet"]
    assert work.provenance.parents[1].name == "monet.webp"
    assert work.title == "photo, in the style of monet"


def test_a_style_that_is_neither_a_name_nor_a_file_is_told_so(tools: Tools, photo: Path, tmp_path: Path):
    named_style(tools, save(tmp_path / "exemplar.webp", ramp(80, 80)))
    with pytest.raises(UnknownName, match=r"style 'monnet' is not known\. Did you mean 'monet'"):
        make(tools, photo, "monnet")
    with pytest.raises(InvalidMedia, match=r"monnet\.jpg is not there"):
        make(tools, photo, "monnet.jpg")


def test_a_method_whose_model_is_missing_says_which(tools: Tools, photo: Path, painting: Path):
    for method in ("neural", "fast"):
        with pytest.raises((Unavailable, UnknownName), match="is not known"):
            make(tools, photo, painting, method=method)


def test_every_method_paints_with_the_models_in_the_catalog(tools: Tools, photo: Path, painting: Path):
    """Small networks with random weights: what comes out is no art, but it comes out of the right doors."""
    root = tools.styles.catalog.root
    blocks = ((4, 1), (8, 1), (8, 1), (8, 2), (8, 1))
    backbone = Backbone(BackboneConfig(blocks=blocks))
    painter = Painter(PainterConfig(channels=(4, 8, 8, 8), mapping=8))
    add_model(root, "perceptual", backbone.state_dict(), {"blocks": blocks})
    add_model(root, "fast", painter.state_dict(), dataclasses.asdict(painter.config))
    add_model(root, "styles", {"monet": torch.ones(painter.config.numbers)}, {})
    named_style(tools, painting)
    used = {"patch": set(), "neural": {"perceptual"}, "fast": {"perceptual", "fast", "styles"}}
    for method, models in used.items():
        steps: list[Step] = []
        work = make(dataclasses.replace(tools, on_step=steps.append), photo, "monet", painting, method=method)
        assert work.content.pixels.shape == (48, 64, 3)
        assert set(work.provenance.models) == models
        assert steps[-1].done == steps[-1].total
        again = make(tools, photo, "monet", painting, method=method)
        assert np.array_equal(work.content.pixels, again.content.pixels)


def add_model(root: Path, name: str, tensors: dict[str, torch.Tensor], config: dict[str, object]) -> None:
    weights = root / "weights" / f"{name}.safetensors"
    save_weights(weights, pack(tensors, "bfloat16"), {"config": config})
    (root / "cards").mkdir(exist_ok=True)
    (root / "cards" / f"{name}.toml").write_text(
        f'name = "{name}"\npurpose = "a test"\nrights = "open"\nlicence = "Apache-2.0"\ndata = []\nparameters = 1\n'
        f'storage = "bfloat16"\nsha256 = "{sha256_of(weights)}"\nlimits = []\n'
        'made = { command = "none", hours = 0, hardware = "none", seed = 0 }\n',
        encoding="utf-8",
    )


def test_previews_look_as_the_work_will(tools: Tools, photo: Path, painting: Path, paint: Paint, tmp_path: Path):
    """With kept colours and a mask, a small preview has the photo's colours, and the photo where it stays."""
    mask = np.zeros((48, 64), np.float32)
    mask[:, 32:] = 1
    steps: list[Step] = []

    def shown(job: stylize._Job) -> torch.Tensor:
        job.tools.on_step(Step(1, 2, "half", lambda: Picture(np.full((24, 32, 3), 0.5, np.float32))))
        return job.photo

    paint(shown)
    told = dataclasses.replace(tools, on_step=steps.append)
    make(told, photo, painting, keep_colors=True, masks=(grey_picture(tmp_path / "mask.png", mask),))
    assert steps[0].preview is not None
    preview = steps[0].preview().pixels
    assert preview.shape == (24, 32, 3)
    assert np.allclose(preview[:, :15], ramp()[::2, ::2][:, :15], atol=0.03)
    assert not np.allclose(preview[:, 17:], ramp()[::2, ::2][:, 17:], atol=0.03)
    assert np.ptp(preview[:, 17:], axis=2).mean() > 0.05  # in colour


def test_a_request_that_cannot_be_is_refused_in_python_too():
    with pytest.raises(BadRequest, match="no style was given"):
        Stylize(Path("x.png"), ())
    with pytest.raises(BadRequest, match="--method is 'magic'; it is one of patch, neural, fast"):
        Stylize(Path("x.png"), ("y.png",), method="magic")  # type: ignore[arg-type]


def test_a_result_too_narrow_is_refused(tools: Tools, painting: Path, tmp_path: Path):
    photo = save(tmp_path / "banner.png", ramp(20, 400))
    with pytest.raises(BadRequest, match="at --size 64 its shorter side would be 3 px"):
        make(tools, photo, painting)
