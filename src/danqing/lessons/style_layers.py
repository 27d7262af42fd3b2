"""`style-layers`: what each layer of the network keeps of a photo, and of a painting (style_transfer.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    from torch import Tensor

    from danqing.artwork.request import Step

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
DEPTHS = {
    "relu1_1": Text("layer 1", "第一层"),
    "relu2_1": Text("layer 2", "第二层"),
    "relu3_1": Text("layer 3", "第三层"),
    "relu4_1": Text("layer 4", "第四层"),
    "relu5_1": Text("layer 5", "第五层"),
}
UP_TO = {
    "relu1_1": Text("layer 1", "第一层"),
    "relu2_1": Text("up to layer 2", "到第二层"),
    "relu3_1": Text("up to layer 3", "到第三层"),
    "relu4_1": Text("up to layer 4", "到第四层"),
    "relu5_1": Text("up to layer 5", "到第五层"),
}
SIDE = 96  # px, of what layers are asked for
WHOLE = 144  # px, the longer side of the transfer
STEPS = {"content": 40, "style": 30}  # at each of two scales
PASSES = 24  # of the transfer, at each of its scales
PART = 10  # of the bar for each picture
WHOLE_RUN = PART * (1 + 2 * len(LAYERS))
FIGURES = {"weight": Text("weight of the style over the content", "风格对内容的权重比")}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """A transfer at the asked balance, then for each layer a picture of the photo's content or the painting's style."""
    from danqing.catalog import styles
    from danqing.encode.image import fit

    on_frame(stage.scene(_panels(asked), FIGURES, pace=8))
    photo = _photo(asked["photo"])
    painting = _opened(styles.shipped().exemplar(asked["style"]))
    weight = 10.0 ** float(asked["balance"])
    shown = {"photo": _png(fit(photo, WHOLE)), "painting": _png(fit(painting, WHOLE))}
    say = Text("The photo, the painting; the network looks at both once.", "一张照片，一幅画；网络各看一眼。")
    on_frame(stage.frame(0, WHOLE_RUN, {"whole": {"pictures": shown}}, None, say))
    features = _Eyes()
    _transfer(photo, painting, weight, features, seed, on_frame)
    for part, kind in enumerate(("content", "style")):
        for number, layer in enumerate(LAYERS):
            before = (1 + part * len(LAYERS) + number) * PART
            _single(kind, layer, photo if kind == "content" else painting, before, features, seed, on_frame)


def _transfer(photo: Tensor, painting: Tensor, weight: float, features: _Eyes, seed: int, on_frame: OnFrame) -> None:
    import torch

    from danqing.compute import seed as seeds
    from danqing.encode.image import fit
    from danqing.techniques import style_transfer

    scene = fit(photo, WHOLE)
    config = style_transfer.Config(style_weight=weight, iterations=PASSES, coarsest=72)

    def on_step(step: Step) -> None:
        if step.preview and (step.done % 3 == 0 or step.done == step.total):
            say = Text(
                f"Balance 1 : {weight:.3g}. Step {step.done}: the picture is pulled toward what both saw.",
                f"内容与风格 1 : {weight:.3g}。第 {step.done} 步：两边的要求一起拉着这张图。",
            )
            pictures = {"pictures": {"result": stage.webp(_levels(step.preview().pixels))}}
            on_frame(
                stage.frame(PART * step.done // step.total, WHOLE_RUN, {"whole": pictures}, {"weight": weight}, say)
            )

    share = torch.ones(1, scene.shape[2], scene.shape[3])
    made = style_transfer.stylize(
        scene, [fit(painting, WHOLE)], share, features, config, seeds.generator(seed), on_step
    )
    pictures = {"pictures": {"result": _png(made)}}
    on_frame(stage.frame(PART, WHOLE_RUN, {"whole": pictures}, {"weight": weight}))


def _single(kind: str, layer: str, source: Tensor, before: int, features: _Eyes, seed: int, on_frame: OnFrame) -> None:
    """A picture from noise that one layer cannot tell from the photo (content), or the painting's texture (style)."""
    import torch

    from danqing.compute import seed as seeds
    from danqing.encode.image import resize
    from danqing.techniques import style_transfer

    generator = seeds.generator(seed, LAYERS.index(layer) + 1)
    small = resize(source, (SIDE, SIDE) if kind == "style" else (SIDE * 3 // 4, SIDE))
    place = (small.shape[-2], small.shape[-1])
    share = torch.ones(1, *place)
    words = (DEPTHS if kind == "content" else UP_TO)[layer]

    def on_step(step: Step) -> None:
        if step.preview and (step.done % 8 == 0 or step.done == step.total):
            en, zh = ("of the photo", "照片内容") if kind == "content" else ("of the painting's texture", "画的质地")
            say = Text(
                f"{words.en.capitalize()}: what is kept {en}, found again from noise.",
                f"{words.zh}：记得的{zh}，从噪声里找回来。",
            )
            pictures = {"pictures": {layer: stage.webp(_levels(step.preview().pixels))}}
            on_frame(stage.frame(before + PART * step.done // step.total, WHOLE_RUN, {kind: pictures}, None, say))

    if kind == "style":
        depth = LAYERS.index(layer) + 1  # with the layers before it, which know of the small marks that it is made of
        config = style_transfer.Config(
            style_layers=tuple((name, 1.0) for name in LAYERS[:depth]), iterations=STEPS[kind], coarsest=SIDE // 2
        )
        style_transfer.texture([small], share, place, features, config, generator, on_step)
        return
    config = style_transfer.Config(
        content_layers=((layer, 1.0),), style_layers=((layer, 1.0),), style_weight=0.0, tv_weight=10.0, start="noise",
        optimiser="adam", rate=0.05, iterations=STEPS[kind], coarsest=SIDE // 2,
    )  # fmt: skip
    style_transfer.stylize(small, [small], share, features, config, generator, on_step)


class _Eyes:
    """The shipped backbone as `compute.blocks.Features`, by PyTorch's own convolutions.

    On maps as small as these the ones laid out beforehand for photos (`backbone.Extractor`) take three to five times as
    long on a processor with AVX2.
    """

    def __init__(self) -> None:
        import torch

        from danqing.catalog import catalog
        from danqing.compute.checkpoint import unpack
        from danqing.compute.device import Compute
        from danqing.techniques import backbone

        tensors, about = catalog.weights("perceptual")
        self.net = backbone.Backbone(backbone.Config(**about["config"]))
        self.net.load_state_dict(unpack(tensors))
        self.net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.layers = self.net.config.layers
        self.compute = Compute(torch.device("cpu"), torch.float32, torch.channels_last, "a small picture")

    def __call__(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """See `compute.blocks.Features`."""
        import torch

        found: dict[str, Tensor] = self.net(x.float().contiguous(memory_format=torch.channels_last), layers)
        return found


def _photo(name: str) -> Tensor:
    """One of the two photographs that scikit-learn carries: (1, 3, H, W) in [0, 1]."""
    import torch
    from sklearn.datasets import load_sample_image

    levels: Any = load_sample_image(f"{name}.jpg")
    return torch.from_numpy(levels.copy()).permute(2, 0, 1)[None].float() / 255


def _opened(path: Any) -> Tensor:
    from danqing.artwork import image
    from danqing.encode.image import to_tensor

    return to_tensor(image.read(path))


def _levels(pixels: Any) -> Any:
    """(H, W, 3) in [0, 1] as bytes."""
    import numpy as np

    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def _png(x: Tensor) -> str:
    return stage.webp(_levels(x[0].permute(1, 2, 0).numpy()))


def _panels(asked: Asked) -> list[dict[str, Any]]:
    whole = {
        "photo": Text("the photo", "照片"),
        "result": Text("both at once", "两者合一"),
        "painting": Text("the painting", "画"),
    }
    return [
        stage.pictures("whole", Text("The transfer", "迁移"), whole, 3),
        stage.pictures("content", Text("What a layer keeps of the photo", "各层记得的照片"), DEPTHS, 5),
        stage.pictures("style", Text("What layers keep of the painting's style", "各层记得的风格"), UP_TO, 5),
    ]


LESSON = Lesson(
    name="style-layers",
    title=Text("What the layers see", "每一层看见什么"),
    summary=Text(
        "Content and style, taken apart layer by layer, and put together again at a balance of your choice.",
        "把内容与风格一层层拆开，再按你定的比例合起来。",
    ),
    passages=passages(
        see=Text(
            "Above: the photo, the painting, and a picture that is changed, step by step, until the network sees the "
            "photo's content and the painting's style in it. Below: pictures that begin as noise. In the first row "
            "each is changed until one single layer cannot tell it from the photo; in the second, until the layers up "
            "to this one find the painting's mixture of marks in it, wherever they lie.",
            "上排：照片、画，以及一张被一步步改动的图，直到网络在其中同时看见照片的内容与画的风格。下面的图都从噪声开"
            "始：第一行，改到某一层分不出它与照片；第二行，改到这一层为止的各层在其中找到与画相同的笔墨配比，不管落在"
            "何处。",
        ),
        attempt=Text(
            "Move the balance from content to style and run again. Compare the rows: the photo is nearly exact at "
            "layer 2 and only a memory at layer 5; the style grows from specks to whole patches with edges. Try ink "
            "shanshui against Van Gogh.",
            "把天平从内容推向风格，再跑一次。比较两行：照片在第二层还几乎原样，到第五层只剩印象；风格则从斑点长成带边"
            "的色块。拿水墨山水和梵高对比看看。",
        ),
        means=Text(
            "A layer's maps say what is where: content. Multiply the maps with each other and add up over all places, "
            "and the where is gone; what remains is which marks occur together: style. This one trick, a table of "
            "products, is all that “style” means to the machine, and it explains both its charm and its limits.",
            "一层的特征图说的是“哪里有什么”，这是内容。把各张图两两相乘、对所有位置求和，“哪里”就没了，剩下的是“什么常"
            "与什么同在”，这是风格。机器眼里的“风格”就是这样一张乘积表；它的妙处与局限都在这里。",
        ),
        paper=Text(
            "Gatys, Ecker & Bethge 2016, “Image Style Transfer Using Convolutional Neural Networks”; texture: the "
            "same, 2015. Photographs: scikit-learn's samples (CC BY). Code: techniques/style_transfer.py, "
            "techniques/backbone.py.",
            "Gatys、Ecker 与 Bethge 2016，《Image Style Transfer Using Convolutional Neural Networks》；质地：同作者 "
            "2015。照片：scikit-learn 自带（CC BY）。代码：techniques/style_transfer.py、techniques/backbone.py。",
        ),
    ),
    controls=(
        Choice(
            "photo",
            Text("Photo", "照片"),
            "china",
            (("china", Text("the Summer Palace", "颐和园")), ("flower", Text("a dahlia", "大丽花"))),
        ),
        Choice(
            "style",
            Text("Painting", "画"),
            "ukiyo-e",
            (
                ("ukiyo-e", Text("ukiyo-e", "浮世绘")),
                ("van-gogh", Text("Van Gogh", "梵高")),
                ("monet", Text("Monet", "莫奈")),
                ("shanshui-ink", Text("ink shanshui", "水墨山水")),
                ("shanshui-blue-green", Text("blue-green shanshui", "青绿山水")),
                ("cubism", Text("cubism", "立体主义")),
                ("suprematism", Text("suprematism", "至上主义")),
            ),
        ),
        Slider("balance", Text("Content ↔ style", "内容 ↔ 风格"), 1.0, -2.0, 3.0, 0.25,
               Text("power of ten of the style's weight", "风格权重是 10 的几次方")),
    ),
    run=run,
)  # fmt: skip
