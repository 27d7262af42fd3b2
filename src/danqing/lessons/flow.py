"""`flow`: how noise is carried to a shape along nearly straight ways, in how few steps (techniques/flow.py)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    from torch import Tensor

    from danqing.techniques import flow

FRAMES = 24  # while it learns
SHOWN = 260
TRAILS = 60
SIDE = 17  # of the lattice of arrows
BATCH = 128
FIGURES = {
    "loss": Text("error of the velocity", "速度的误差"),
    "bend": Text("how much longer the ways are than straight ones", "路比直线长多少"),
}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """Learn the field, looking at what it makes of the same noise; then walk through one sampling, step by step."""
    import torch

    from danqing.compute import seed as seeds
    from danqing.lessons import shapes
    from danqing.techniques import flow

    generator = seeds.generator(seed)
    steps, parts = int(asked["rounds"]), int(asked["steps"])
    on_frame(stage.scene(_panels(asked["data"], seed), FIGURES, pace=10))
    # One pixel of two channels, so one token: the technique's own DiT, as small as it gets.
    model = flow.Velocity(flow.Config(side=1, channels=2, network="dit", width=64, depth=2, patch=1, heads=1))
    adam = torch.optim.Adam(model.parameters(), 2e-3)
    noise = torch.randn(SHOWN, 2, 1, 1, generator=seeds.generator(seed, 1))
    every, mean = max(1, steps // FRAMES), 0.0
    for step in range(steps + 1):
        if step:
            for group in adam.param_groups:
                group["lr"] = 2e-3 * min(1.0, 2 - 2 * step / steps)
            loss = flow.loss(model, shapes.draw(asked["data"], BATCH, generator), None, 0.0, generator)
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            mean = 0.95 * mean + 0.05 * float(loss.detach()) if step > 1 else float(loss.detach())
        if step % every == 0 or step == steps:
            ways = _ways(model, noise, asked["sampler"], parts)
            figures = {"bend": _bend(ways), **({"loss": mean} if step else {})}
            shown = {"points": {"made": stage.points(ways[-1])}, "paths": _trails(ways), "arrows": _arrows(model, 0.5)}
            on_frame(stage.frame(step, steps + parts, {"plane": shown}, figures, _learning(step)))
    for part in range(parts + 1):
        at = part / parts
        shown = {
            "points": {"made": stage.points(ways[part])},
            "paths": _trails(ways[: part + 1]),
            "arrows": _arrows(model, min(at, 0.99)),
        }
        say = Text(
            f"Sampling, time {at:.2f}: the noise has taken {part} of {parts} steps.",
            f"采样，时刻 {at:.2f}：噪声已走了 {parts} 步中的 {part} 步。",
        )
        on_frame(stage.frame(steps + part, steps + parts, {"plane": shown}, {"bend": _bend(ways)}, say))


def _panels(shape: str, seed: int) -> list[dict[str, Any]]:
    from danqing.compute import seed as seeds
    from danqing.lessons import shapes

    real = shapes.draw(shape, SHOWN, seeds.generator(seed, 2))
    sets = {
        "real": (Text("real points", "真实的点"), "real"),
        "made": (Text("noise on its way", "走在路上的噪声"), "made"),
    }
    return [
        stage.plane("plane", Text("The field and the ways", "速度场与路径"), 2.8, sets,
                    points={"real": stage.points(real)}),
        stage.curves("loss", Text("What is left to learn", "还剩多少要学"), ("loss",)),
        stage.curves("bend", Text("Bend of the ways", "路有多弯"), ("bend",), low=0),
    ]  # fmt: skip


def _ways(model: flow.Velocity, noise: Tensor, sampler: str, parts: int) -> list[Tensor]:
    """Where the noise is after each step of the technique's sampler: parts + 1 times (N, 2, 1, 1)."""
    import torch

    from danqing.techniques import flow

    walk = {"euler": flow.euler, "heun": flow.heun}[sampler]
    places = [noise]
    with torch.no_grad():
        for part in range(parts):

            def field(x: Tensor, times: Tensor, part: int = part) -> Tensor:
                """Time stretched, so that the one step that is taken is a step of ours."""
                velocity: Tensor = model(x, (part + times) / parts)
                return velocity / parts

            places.append(walk(field, places[-1], 1))
    return places


def _bend(ways: list[Tensor]) -> float:
    """The mean length of the ways over the straight distance, less 1."""
    import torch

    length = torch.stack([(b - a).flatten(1).norm(dim=1) for a, b in pairwise(ways)]).sum(0)
    straight = (ways[-1] - ways[0]).flatten(1).norm(dim=1)
    return max(0.0, float((length.sum() / straight.sum().clamp_min(1e-6)) - 1))


def _trails(ways: list[Tensor]) -> list[list[int]]:
    """The first ways as lines of x, y, x, y …"""
    import torch

    lines = torch.stack(ways)[:: max(1, len(ways) // 24), :TRAILS, :, 0, 0]  # (P, TRAILS, 2)
    lines = torch.cat([lines, ways[-1][None, :TRAILS, :, 0, 0]])
    return [stage.points(lines[:, number]) for number in range(TRAILS)]


def _arrows(model: flow.Velocity, time: float) -> list[int]:
    """The field at a time, on a lattice; a fifth of its velocity."""
    import torch

    from danqing.lessons import shapes

    at = shapes.lattice(SIDE, 2.6)
    with torch.no_grad():
        velocity = model(at, torch.full((len(at),), time))
    way = velocity.flatten(1) * 0.2
    way = way * (0.3 / way.norm(dim=1, keepdim=True).clamp_min(0.3))
    return stage.points(torch.cat([at.flatten(1), way], dim=1))


def _learning(step: int) -> Text:
    if step == 0:
        return Text("Before learning the field is zero: noise stays where it is.", "学习之前场为零：噪声原地不动。")
    return Text(
        f"After {step} steps of learning: the same noise, carried by the field as it is now.",
        f"学了 {step} 步：同一把噪声，由现在的场载着走。",
    )


LESSON = Lesson(
    name="flow",
    title=Text("From noise along straight ways", "从噪声出发，走直路"),
    summary=Text(
        "How the painters of today work: a field of arrows that carries noise to pictures, in many steps or few.",
        "今日的画手如何作画：一片箭头之场把噪声载到画上，步子可多可少。",
    ),
    passages=passages(
        see=Text(
            "Red points begin as noise. At every place and time the net says which way to go; the lines show how the "
            "points went. First the field is learned, then you watch one sampling from time 0, noise, to time 1, the "
            "shape.",
            "红点起初是噪声。在每一处、每一刻，网络告诉它往哪边走；细线是走过的路。先学会这片场，再看一次采样：从时刻 "
            "0 的噪声，走到时刻 1 的形状。",
        ),
        attempt=Text(
            "Set the sampler's steps to 1: all points fall into a heap in the middle. With 4 steps the shape is "
            "there, with 20 it is clean. Heun looks twice a step; compare Heun with 4 and Euler with 8, which cost "
            "the same. Then give it only 100 steps of learning.",
            "把采样步数设为 1：所有点都落到中间一堆。4 步已见形状，20 步就干净了。Heun 每步看两次；拿 4 步的 Heun 和 8"
            " 步的 Euler 比一比，花费相同。再试试只让它学 100 步。",
        ),
        means=Text(
            "In training, each noise point is tied to a random real point by a straight line, and the net learns the "
            "mean direction of all lines through a place. Early on that is the way to the middle; only near the end "
            "does a point know which stroke it belongs to. The straighter the ways, the fewer steps a picture takes: "
            "that is why these models have become fast.",
            "训练时，每个噪声点与一个随机的真点连成直线，网络学的是经过某处的所有直线的平均方向。起初那只是“往中间走”，"
            "快到终点，点才知道自己属于哪一笔。路越直，画一张图要的步数越少：这类模型就是这样快起来的。",
        ),
        paper=Text(
            "Liu et al. 2022, “Flow Straight and Fast”; times after Esser et al. 2024; the net is a DiT, Peebles & "
            "Xie 2023. Code: techniques/flow.py.",
            "Liu 等 2022，《Flow Straight and Fast》；时刻的取法依 Esser 等 2024；网络为 DiT，Peebles 与 Xie 2023。"
            "代码：techniques/flow.py。",
        ),
    ),
    controls=(
        Choice(
            "data",
            Text("Shape to learn", "要学的形状"),
            "great",
            (
                ("great", Text("the character 大", "“大”字")),
                ("mountain", Text("the character 山", "“山”字")),
                ("ring", Text("eight heaps in a ring", "一圈八堆")),
                ("moons", Text("two moons", "双月")),
                ("spiral", Text("a spiral", "螺旋")),
            ),
        ),
        Slider("steps", Text("Steps of the sampler", "采样步数"), 12, 1, 40, 1),
        Choice(
            "sampler",
            Text("Sampler", "采样器"),
            "euler",
            (("euler", Text("Euler: one look a step", "Euler：每步看一次")),
             ("heun", Text("Heun: two looks a step", "Heun：每步看两次"))),
        ),
        Slider("rounds", Text("Steps of learning", "学习步数"), 1200, 100, 3000, 100),
    ),
    run=run,
)  # fmt: skip
