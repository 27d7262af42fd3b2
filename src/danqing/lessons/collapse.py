"""`collapse`: how a GAN forgets most of what there is, and how a critic with a slope of one keeps it (gan.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    from danqing.lessons.duel import Duel

FRAMES = 60
COUNTED = 1000  # points by which heaps are counted
RATE = 2e-3
BATCH = 64
FIGURES = {
    "plain_modes": Text("heaps found, plain", "普通 GAN 找到的堆"),
    "cured_modes": Text("heaps found, Wasserstein + penalty", "Wasserstein + 惩罚找到的堆"),
    "plain_on": Text("points on a heap, plain", "普通 GAN 落在堆上的点"),
    "cured_on": Text("points on a heap, Wasserstein + penalty", "Wasserstein + 惩罚落在堆上的点"),
}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """Two games beside one another, alike in everything but the loss and the penalty."""
    from danqing.compute import seed as seeds
    from danqing.lessons import shapes
    from danqing.lessons.duel import SHOWN, Duel, Rules

    shape, turns, swift = asked["data"], int(asked["turns"]), float(asked["swift"])
    of = len(shapes.centres(shape))
    real = {"real": stage.points(shapes.draw(shape, SHOWN, seeds.generator(seed, 1)))}
    sets = {
        "real": (Text("real points", "真实的点"), "real"),
        "made": (Text("made points", "生成的点"), "made"),
    }
    titles = {
        "plain": Text("As written in 2014", "2014 年的写法")
        if asked["plain"] == "minimax"
        else Text("Non-saturating loss", "不饱和损失"),
        "cured": Text("Wasserstein with gradient penalty", "Wasserstein 加梯度惩罚"),
    }
    planes = [stage.plane(name, title, shapes.REACH, sets, points=real) for name, title in titles.items()]
    found = stage.curves("found", Text(f"Heaps found, of {of}", f"找到的堆，共 {of}"), ("plain_modes", "cured_modes"),
                         low=0, high=of)  # fmt: skip
    on = stage.curves(
        "on", Text("Share of points on a heap", "落在堆上的比例"), ("plain_on", "cured_on"), low=0, high=1
    )
    on_frame(stage.scene((*planes, found, on), FIGURES, pace=10))
    duels = {
        "plain": Duel(Rules(shape, asked["plain"], turns=turns, rate=RATE, swift=swift, batch=BATCH),
                      seeds.generator(seed, 2)),
        "cured": Duel(Rules(shape, "wasserstein", between=asked["penalty"], turns=turns, rate=RATE, swift=swift,
                            batch=BATCH), seeds.generator(seed, 3)),
    }  # fmt: skip
    rounds = int(asked["rounds"])
    every = max(1, rounds // FRAMES)
    for step in range(rounds + 1):
        if step:
            for duel in duels.values():
                duel.round(min(1.0, 0.1 + 1.8 * (1 - step / rounds)))
        if step % every == 0 or step == rounds:
            _tell(duels, step, rounds, shape, seed, on_frame)


def _tell(duels: dict[str, Duel], step: int, rounds: int, shape: str, seed: int, on_frame: OnFrame) -> None:
    from danqing.lessons import shapes
    from danqing.lessons.duel import SHOWN

    panels: dict[str, dict[str, object]] = {}
    figures: dict[str, float] = {}
    for name, duel in duels.items():
        made = duel.shown(seed, COUNTED)
        hit, share = shapes.covered(made, shape)
        figures |= {f"{name}_modes": float(hit), f"{name}_on": share}
        panels[name] = {"points": {"made": stage.points(made[:SHOWN])}, "field": stage.field(duel.field())}
    plain, cured, of = int(figures["plain_modes"]), int(figures["cured_modes"]), len(shapes.centres(shape))
    say = Text(
        f"After {step} rounds: the plain game covers {plain} of {of} heaps, the cured one {cured}.",
        f"{step} 轮之后：普通 GAN 覆盖 {of} 堆中的 {plain} 堆，治过的覆盖 {cured} 堆。",
    )
    on_frame(stage.frame(step, rounds, panels, figures, say))


LESSON = Lesson(
    name="collapse",
    title=Text("Mode collapse, and a cure", "模式坍塌及其治法"),
    summary=Text(
        "The same game twice: one forgets most of the heaps, the other finds them all.",
        "同一局棋下两遍：一边忘掉了大半，一边全都找到。",
    ),
    passages=passages(
        see=Text(
            "Two games with the same nets, the same learning rates and the same number of turns. Left, the expert "
            "gives verdicts, real or false; right, it gives scores that may rise by one for each step of way, no "
            "faster. Watch how many of the heaps the red points reach.",
            "两局棋，网络、学习率、步数都一样。左边的鉴定家只下判决：真或假；右边的打分，而且每走一步，分数至多升一分。"
            "看红点能到几堆。",
        ),
        attempt=Text(
            "The discriminator learns four times as fast as the generator here. At 1, both sides find all the heaps; "
            "at 0.2 it is the right one that suffers, for its scores are worth something only while the critic keeps "
            "up. Take minimax, the loss of 2014: left, next to nothing is found. Set the penalty to 0, and the cure "
            "is gone. The grid of 25 is harder for both.",
            "这里判别器学得比生成器快四倍。调到 1，两边都能找全；调到 0.2，吃亏的反而是右边，因为评分器跟得上，分数才"
            "有用。换成 2014 年的 minimax：左边几乎什么都找不到。把惩罚调到 0，药效就没了。25 堆的方阵对两边都更难。",
        ),
        means=Text(
            "A generator that has found one convincing picture has no reason to find another: that is collapse, and "
            "with pictures it looks like the same face again and again. A verdict of an expert who is sure says "
            "nothing about which way is better; a score with a bounded slope does, from everywhere. So the better the "
            "critic, the better the advice, and no heap is out of reach.",
            "生成器只要找到一张能骗过去的图，就没有理由再找第二张：这就是坍塌，放到图像上，就是同一张脸反复出现。鉴定"
            "家若十拿九稳，它的判决就说不出往哪边更好；斜率有界的打分却能从任何地方指出方向。所以评分器越好，指点越"
            "好，哪一堆都够得着。",
        ),
        paper=Text(
            "Arjovsky et al. 2017, “Wasserstein GAN”; Gulrajani et al. 2017, “Improved Training of Wasserstein GANs”. "
            "Code: techniques/gan.py, penalty_between.",
            "Arjovsky 等 2017，《Wasserstein GAN》；Gulrajani 等 2017，《Improved Training of Wasserstein GANs》。"
            "代码：techniques/gan.py 里的 penalty_between。",
        ),
    ),
    controls=(
        Choice(
            "data",
            Text("Heaps", "堆的排法"),
            "ring",
            (
                ("ring", Text("eight in a ring", "一圈八堆")),
                ("grid", Text("twenty-five in a grid", "方阵二十五堆")),
            ),
        ),
        Choice(
            "plain",
            Text("Loss on the left", "左边的损失"),
            "nonsaturating",
            (
                ("minimax", Text("minimax (2014)", "极小极大（2014）")),
                ("nonsaturating", Text("non-saturating", "不饱和")),
            ),
        ),
        Slider("swift", Text("Speed of the discriminator", "判别器的快慢"), 4.0, 0.2, 4.0, 0.2,
               Text("times the generator's learning rate", "相对生成器学习率的倍数")),
        Slider("turns", Text("Discriminator's turns", "判别器每轮步数"), 5, 1, 8, 1),
        Slider("penalty", Text("Gradient penalty (right)", "梯度惩罚（右）"), 0.3, 0.0, 10.0, 0.1),
        Slider("rounds", Text("Rounds", "轮数"), 600, 100, 2000, 100),
    ),
    run=run,
)  # fmt: skip
