"""From an underpainting to a painting: what `paint` and `sketch` share.

Several hands work one after another. The palette: colours move some way toward the style's, except where a person named
the colour of a thing. The layout painter (`techniques.layout_painter`, one pass at about 256 px) gives flat shapes the
forms and tones of paintings. Where the style is one of broken colour, `techniques.touches` divides it into touches. The
patch painter (`techniques.patch_style`) lays real brush strokes of the style's exemplar over it at full size, the
exemplar's colours having been brought to the picture's, so that blue stays blue. Prints have neither touches nor
strokes: `techniques.woodcut` prints them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from danqing.errors import InvalidMedia

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from danqing.arts import Tools
    from danqing.catalog.catalog import Catalog
    from danqing.techniques.layout_painter import LayoutPainter

MODEL = "sketch"
USUAL_STYLE = "impressionism"
SHORT_SIDE = 256  # px, of what the layout painter sees
PALETTE, LIGHT = 0.6, 0.4  # how far colours move toward the style's, and how far lightness does
INK = 0.95  # both, for a style that knows hardly a colour
PIGMENTS = 0.75  # how far colours move in prints, whose blocks have few colours and no white but the paper's
NEUTRAL, NEUTRAL_MOVES = 0.06, 0.3  # OKLab chroma below which a colour moves less, and the least of the way
FIRST = 0.6  # how much the first pass has to say: in full, its weave shows in plain skies
TWILIGHT = 0.4  # brightness below which it has less: it has seen few nights, and makes them brown and striped
INKS = frozenset({"shanshui-ink", "durer"})
WOODCUTS = frozenset({"ukiyo-e", "shin-hanga", "hokusai", "hiroshige"})  # printed from blocks, not painted
TOUCHES = {  # painters of broken colour: size of a touch in px at 512, its length in sizes, how far its colour is moved
    "impressionism": (5.0, 2.2, 0.014),
    "monet": (5.0, 2.2, 0.016),
    "divisionism": (5.0, 1.4, 0.03),
    "van-gogh": (5.0, 4.5, 0.022),
    "cezanne": (9.0, 1.6, 0.012),
}
BRUSHES = 0.75  # how far the exemplar's colours are brought to the picture's
KEPT = 0.8  # how much of the difference in broad colour to the layout is taken back at the end
FORMS = 0.45  # and of that in forms smaller than these squares, but larger than a stroke
NAMED = 0.95  # both, where a colour was named
STROKE = 5  # px at 512
BROAD = 24  # px at 512: colours are compared over squares of this side
NARROWEST = 16  # px, any side of a style's picture


@dataclass(frozen=True)
class Style:
    """A named style, or a person's own picture."""

    name: str
    file: Path  # the exemplar, or the picture
    named: bool


@dataclass
class Brush:
    """What paints: tools, a style, a seed; it notes the models that it used."""

    tools: Tools
    style: Style
    seed: int
    models: dict[str, str] = field(default_factory=dict)
    catalog: Catalog = field(init=False)  # where the layout painter is: that which ships, unless it is changed

    def __post_init__(self) -> None:
        self.catalog = self.tools.styles.catalog

    def toned(self, layout: Tensor, told: Tensor | None = None) -> Tensor:
        """The layout in colours nearer to the style's. told (H, W) in [0, 1]: where colours stay as they were named."""
        import torch

        from danqing.encode.image import keep_colors, match_colors, to_oklab

        name = self.style.name
        coloured, lit = (INK, INK) if name in INKS else (PIGMENTS if name in WOODCUTS else PALETTE, LIGHT)
        moved, light = (match_colors(layout, self.exemplar, amount=amount) for amount in (coloured, lit))
        moved = keep_colors(light, moved)  # night stays night in a style of light pictures
        if name not in INKS:  # and snow stays white in one of green pictures
            chroma = torch.linalg.vector_norm(to_oklab(layout)[:, 1:], dim=1, keepdim=True)
            moved = torch.lerp(layout, moved, (chroma / NEUTRAL).clamp(NEUTRAL_MOVES, 1))
        return moved if told is None else torch.lerp(moved, layout, told[None, None])

    def blocked_in(self, layout: Tensor, lines: Tensor | None = None) -> Tensor:
        """The layout painter's picture: (1, 3, H, W) → the same size."""
        from danqing.compute.seed import generator
        from danqing.encode.image import luminance
        from danqing.techniques import layout_painter

        if self.style.name in WOODCUTS:  # no painter has a hand in it, and none is named in the work
            return layout
        model, numbers = self._painter()
        painted = layout_painter.paint(model, layout, lines, numbers, generator(self.seed, stream=2))
        return layout.lerp(painted, FIRST * (luminance(layout) / TWILIGHT).clamp(0, 1))

    def drafted(self, picture: Tensor) -> Tensor:
        """The first pass as something to look at: a print is printed."""
        from danqing.compute.seed import generator
        from danqing.techniques import woodcut

        if self.style.name not in WOODCUTS:
            return picture
        return woodcut.printed(picture.clamp(0, 1), generator(self.seed, stream=3))

    def recoloured(self, picture: Tensor, layout: Tensor, told: Tensor) -> Tensor:
        """The picture with the layout's broad colours where they were told: told (H, W) in [0, 1]."""
        return (picture + told[None, None] * _broad(layout - picture)).clamp(0, 1)

    def finished(self, picture: Tensor, height: int, width: int, told: Tensor | None = None) -> Tensor:
        """Real strokes at full size: (1, 3, h, w) → (1, 3, height, width), float32 in [0, 1].

        told (h, w) in [0, 1]: where strokes take no colour away, since it was named.
        """
        import torch

        from danqing.compute.seed import generator
        from danqing.encode.image import match_colors, resize
        from danqing.techniques import patch_style, touches

        large = resize(picture, (height, width))
        if self.style.name in WOODCUTS:  # they have no strokes
            return self.drafted(large)
        if self.style.name in TOUCHES:
            size, length, strength = TOUCHES[self.style.name]
            size *= min(height, width) / 512
            touched = touches.divided(large.clamp(0, 1), size, length, strength, generator(self.seed, stream=4))
            large = touched + _broad(large - touched)  # the eye mixes them to what was there
        exemplar = match_colors(self.exemplar, large, amount=BRUSHES)
        share = torch.ones(1, height, width)
        painted = patch_style.stylize(
            large,
            [exemplar],
            share,
            # The forms are there: coarse scales and second passes would cost half the time and show nothing more.
            patch_style.Config(palette=0.0, coarsest=192, passes=1),
            self.tools.compute,
            generator(self.seed, stream=3),
            self.tools.on_step,
        )
        apart = large - painted
        broad, near = _broad(apart), _broad(apart, STROKE)
        named = torch.zeros(1, 1, height, width) if told is None else resize(told[None, None], (height, width))
        kept, forms = (share + (NAMED - share) * named for share in (KEPT, FORMS))
        return (painted + kept * broad + forms * (near - broad)).clamp(0, 1)

    @functools.cached_property
    def exemplar(self) -> Tensor:
        """The style's picture, (1, 3, h, w) in [0, 1]; raises InvalidMedia."""
        import torch

        from danqing.artwork import image
        from danqing.encode.image import to_tensor

        found = image.read(self.style.file)
        if min(found.width, found.height) < NARROWEST:
            raise InvalidMedia(
                f"{self.style.file} is {found.width}×{found.height} px; a style has {NARROWEST} px a side or more"
            )
        x = to_tensor(found)
        if found.alpha is not None:
            clear = torch.from_numpy(found.alpha)
            x = x * clear + (1 - clear)
        return x

    def _painter(self) -> tuple[LayoutPainter, Tensor]:
        """The layout painter and the style's numbers (960,)."""
        from danqing.catalog.styles import STATISTICS

        catalog = self.catalog
        model = _opened(catalog, catalog.sha256(MODEL), self.tools.compute.dtype)
        self.models[MODEL] = catalog.sha256(MODEL)
        if self.style.named:
            self.models[STATISTICS] = catalog.sha256(STATISTICS)
            return model, self.tools.styles.statistics(self.style.name)
        return model, self._measured()

    def _measured(self) -> Tensor:
        """The numbers of a person's own picture."""
        from danqing.compute.checkpoint import unpack
        from danqing.encode.image import fit
        from danqing.techniques import backbone, fast_style

        catalog = self.tools.styles.catalog
        tensors, about = catalog.weights("perceptual")
        self.models["perceptual"] = catalog.sha256("perceptual")
        net = backbone.Backbone(backbone.Config(**about["config"]))
        net.load_state_dict(unpack(tensors))
        settings = fast_style.Config()
        maps = backbone.Extractor(net, self.tools.compute)(fit(self.exemplar, SHORT_SIDE), settings.layers)
        return fast_style.statistics(maps, settings)[0]


@functools.lru_cache(maxsize=2)
def _opened(catalog: Catalog, _sha256: str, dtype: torch.dtype) -> LayoutPainter:
    """Reading and building the painter takes a third as long as its pass: it is kept."""
    from danqing.compute.checkpoint import unpack
    from danqing.techniques.layout_painter import Config, LayoutPainter

    tensors, about = catalog.weights(MODEL)
    model = LayoutPainter(Config(**about["config"]))
    model.load_state_dict(unpack(tensors))
    return model.to(dtype).eval()


def _broad(x: Tensor, square: int = BROAD) -> Tensor:
    """The mean of each place's surroundings, `square` px at 512. x (1, C, H, W)."""
    import torch.nn.functional as F

    side = max(3, round(square * min(x.shape[2:]) / 512)) | 1
    return F.avg_pool2d(F.pad(x, (side // 2,) * 4, mode="replicate"), side, 1)


def choose(label: str, tools: Tools) -> Style:
    """A named style or a picture file; raises UnknownName."""
    path = Path(label)
    is_file = path.suffix != "" or len(path.parts) > 1 or path.exists()
    if is_file and not tools.styles.knows(label):
        return Style(path.stem, path, False)
    name = tools.styles.style(label).name
    return Style(name, tools.styles.exemplar(label), True)
