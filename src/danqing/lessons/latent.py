"""`latent`: the two numbers that a VAE keeps of a written digit, as a map to walk on (techniques/vae.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from danqing.techniques import vae

SIZE = 16  # px, of a digit as it is learned; the collection has 8
REACH = 3.0  # of the map, standard deviations
TILES = 13  # of the map along each side, while it is learned
FINE = 37  # of the map that can be walked, at the end
WAY = 9  # pictures on the way from one digit to another
FRAMES = 30
BATCH = 32
RATE = 3e-3
DIGITS = tuple((str(n), Text(str(n), str(n))) for n in range(10))
FIGURES = {
    "error": Text("mean difference from the picture", "与原图的平均差"),
    "nats": Text("information kept, nats", "保留的信息（奈特）"),
}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """Learn the map while it is watched, then hand it over to be walked."""
    import torch

    from danqing.compute import seed as seeds
    from danqing.techniques import vae

    generator = seeds.generator(seed)
    steps = int(asked["steps"])
    on_frame(stage.scene(_panels(asked), FIGURES, pace=8))
    digits, labels = _digits()
    model = vae.VAE(vae.Config(SIZE, latents=2, width=8, halvings=2))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half as much again as fast
    adam = torch.optim.Adam(model.parameters(), RATE)
    every = max(1, steps // FRAMES)
    shown = torch.randperm(len(digits), generator=generator)[:400]
    means: dict[str, float] = {}
    for step in range(steps + 1):
        if step:
            for group in adam.param_groups:
                group["lr"] = RATE * min(1.0, 2 - 2 * step / steps)
            found = _learn(model, adam, digits, asked["beta"] * min(1.0, 4 * step / steps), generator)
            means = {name: 0.8 * means.get(name, value) + 0.2 * value for name, value in found.items()}
        if step % every == 0 or step == steps:
            panels = _look(model, digits[shown], labels[shown.numpy()], TILES)
            panels["way"] = _way(model, digits, labels, asked, seed)
            last = step == steps
            if last:
                panels["map"]["atlas"] = {"n": FINE, "side": SIZE, "png": _atlas(model, FINE)}
            on_frame(stage.frame(step, steps, panels, means, _told(step, last)))


def _digits() -> tuple[Tensor, NDArray[np.int64]]:
    """The 1,797 digits of scikit-learn: (N, 3, SIZE, SIZE) in [-1, 1], and which digit each is."""
    import torch
    import torch.nn.functional as F
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    small = torch.from_numpy(bunch.images).float()[:, None] / 16
    large = F.interpolate(small, size=(SIZE, SIZE), mode="bicubic", align_corners=False).clamp(0, 1)
    return large.mul(2).sub(1).expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last), np.asarray(
        bunch.target
    )


def _learn(
    model: vae.VAE, adam: torch.optim.Optimizer, digits: Tensor, beta: float, generator: torch.Generator
) -> dict[str, float]:
    import torch

    from danqing.techniques import vae

    batch = digits[torch.randint(len(digits), (BATCH,), generator=generator)]
    posterior = model.posterior(batch)
    made = model.decode(posterior.sample(generator))
    nats = vae.divergence(posterior)
    loss = (vae.negative_log_likelihood(made, batch) + beta * vae.held_up(nats, 0.0)) / batch[0].numel()
    adam.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()
    return {"error": float((made - batch).abs().mean().detach()) / 2, "nats": float(nats.sum(1).mean().detach())}


def _panels(asked: Asked) -> list[dict[str, Any]]:
    kinds = {"digits": (Text("where written digits lie", "手写数字所在之处"), "class")}
    start, end = asked["start"], asked["end"]
    way = {str(i): Text("", "") for i in range(WAY)}
    way |= {"0": Text(f"a {start}", f"一个 {start}"), str(WAY - 1): Text(f"a {end}", f"一个 {end}")}
    return [
        stage.plane("map", Text("The map: drag on it", "地图：在上面拖动"), REACH, kinds, walk=True),
        stage.curves("error", Text("How well digits come back", "数字复原得多好"), ("error",), low=0),
        stage.curves("nats", Text("What two numbers hold", "两个数装下多少"), ("nats",), low=0),
        stage.pictures("way", Text("A straight walk on it", "在图上走一条直线"), way, WAY, crisp=False),
    ]


def _look(model: vae.VAE, digits: Tensor, labels: NDArray[np.int64], tiles: int) -> dict[str, Any]:
    """The map, tile by tile, and where the digits lie on it."""
    import torch

    with torch.no_grad():
        at = model.encode(digits).numpy()
    return {
        "map": {
            "image": _atlas(model, tiles),
            "points": {"digits": stage.points(np.clip(at, -REACH, REACH))},
            "classes": {"digits": labels.tolist()},
        }
    }


def _atlas(model: vae.VAE, tiles: int) -> str:
    """What the decoder makes of the middles of tiles × tiles cells, as one picture, the top row being y = REACH."""
    import torch

    lines = torch.linspace(-1, 1, tiles) * REACH * (1 - 1 / tiles)
    y, x = torch.meshgrid(lines.flip(0), lines, indexing="ij")
    levels = _levels(model, torch.stack([x, y], dim=-1).view(-1, 2))
    rows = levels.reshape(tiles, tiles, SIZE, SIZE).transpose(0, 2, 1, 3)
    return stage.webp(np.ascontiguousarray(rows.reshape(tiles * SIZE, tiles * SIZE)))


def _levels(model: vae.VAE, at: Tensor) -> NDArray[np.uint8]:
    """Ink on paper, as written: (N, 2) → (N, SIZE, SIZE)."""
    import torch

    with torch.no_grad():
        ink = model.decode(at)[:, 0].add(1).div(2).clamp(0, 1)
    levels: NDArray[np.uint8] = (255 - 255 * ink).round().byte().numpy()
    return levels


def _way(model: vae.VAE, digits: Tensor, labels: NDArray[np.int64], asked: Asked, seed: int) -> dict[str, Any]:
    """From one digit of a kind to one of another, straight on the map."""
    import torch

    chance = np.random.default_rng(seed)
    ends = [int(chance.choice(np.flatnonzero(labels == int(asked[name])))) for name in ("start", "end")]
    with torch.no_grad():
        a, b = model.encode(digits[ends])
    at = torch.stack([torch.lerp(a, b, share) for share in torch.linspace(0, 1, WAY)])
    made = _levels(model, at)
    return {"pictures": {str(i): stage.png(made[i]) for i in range(WAY)}, "path": stage.points(at.numpy())}


def _told(step: int, last: bool) -> Text:
    if step == 0:
        return Text("Before learning, the map is the same everywhere.", "学习之前，地图处处一样。")
    if last:
        return Text(
            "The map is ready. Drag on it: every place is a digit that nobody wrote.",
            "地图画好了。在上面拖一拖：每一处都是一个没人写过的数字。",
        )
    return Text(
        f"Step {step}: digits that look alike drift together, and empty places fill with what lies between.",
        f"第 {step} 步：长得像的数字渐渐靠拢，空白处长出了介乎其间的字形。",
    )


LESSON = Lesson(
    name="latent",
    title=Text("A map of everything in between", "一张“之间”的地图"),
    summary=Text(
        "Two numbers for each digit: a map on which every place can be turned back into a picture.",
        "每个数字只留两个数：铺成一张地图，图上每一处都能变回一张图。",
    ),
    passages=passages(
        see=Text(
            "An autoencoder squeezes each of 1,797 written digits into two numbers and tries to draw it again from "
            "these. The two numbers are a place on the map; the map shows what the decoder draws at each place. The "
            "coloured dots are real digits, one colour for each kind.",
            "自编码器把 1,797 个手写数字各压成两个数，再凭这两个数把它画回来。两个数就是地图上的一个位置；地图画的是解"
            "码器在各处画出的样子。彩色的点是真实的数字，一种数字一种颜色。",
        ),
        attempt=Text(
            "Drag on the map once it is ready, slowly, across a border: where does a 3 become an 8? Choose two digits "
            "and look at the straight walk between them. Then set β to 0.1 and run again: more is kept of each digit, "
            "they move far apart, to the rim and beyond, and nobody tends the land between. At β = 100 nothing is "
            "worth its price any more: every place shows the same smudge.",
            "地图好了以后，慢慢拖过一条边界：3 是在哪里变成 8 的？选两个数字，看它们之间的直路。再把 β 调到 0.1 重跑："
            "每个数字留下的更多，彼此却散得很开，散到边上、散出图外，中间的地带没人打理。β 到 100，什么都不值这个价了："
            "处处是同一团墨。",
        ),
        means=Text(
            "The decoder never saw what lies between two digits, and yet it is legible. That is what the V in VAE "
            "buys: each digit is stored not as a point but as a small cloud, and clouds have to overlap. Blends, "
            "variations and walks in this studio's models are journeys on such maps, with more than two directions.",
            "两个数字之间的样子，解码器从没见过，却画得出来、认得出来。这就是 VAE 里 V 的好处：每个数字存的不是一个"
            "点，而是一小团云，云与云必须相接。画室里模型的混合、变奏和漫步，走的都是这样的地图，只是方向不止两个。",
        ),
        paper=Text(
            "Kingma & Welling 2014, “Auto-Encoding Variational Bayes”; β after Higgins et al. 2017; the error's scale "
            "after Rybkin et al. 2021, “σ-VAE”. Code: techniques/vae.py.",
            "Kingma 与 Welling 2014，《Auto-Encoding Variational Bayes》；β 出自 Higgins 等 2017；误差的尺度依 Rybkin "
            "等 2021 的 σ-VAE。代码：techniques/vae.py。",
        ),
    ),
    controls=(
        Slider(
            "beta", Text("β: price of information", "β：信息的价钱"), 1.0, 0.1, 100.0, 0.1,
            Text("small: much kept, land untended; large: smooth, then empty", "小：多而荒；大：先平后空"), log=True,
        ),
        Choice("start", Text("Walk from", "从"), "3", DIGITS),
        Choice("end", Text("to", "走到"), "7", DIGITS),
        Slider("steps", Text("Steps of learning", "学习步数"), 600, 100, 2000, 100),
    ),
    run=run,
)  # fmt: skip
