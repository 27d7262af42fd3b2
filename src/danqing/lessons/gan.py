"""`gan`: the game of two nets, played on points so that all of it can be seen (techniques/gan.py)."""

from __future__ import annotations

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

FRAMES = 80
RATES = {"real": Text("real points", "真实的点"), "made": Text("made points", "生成的点")}
FIGURES = {
    "judge": Text("discriminator's loss", "判别器的损失"),
    "maker": Text("generator's loss", "生成器的损失"),
    "right": Text("discriminator is right", "判别器判对的比例"),
}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """Play a game; the field is the discriminator's opinion, the arrows are what the generator hears of it."""
    from danqing.compute import seed as seeds
    from danqing.lessons import shapes
    from danqing.lessons.duel import SHOWN, Duel, Rules

    generator = seeds.generator(seed)
    rules = Rules(asked["data"], asked["loss"], r1=asked["penalty"], turns=asked["turns"])
    real = shapes.draw(asked["data"], SHOWN, seeds.generator(seed, 1))
    sets = {"real": (RATES["real"], "real"), "made": (RATES["made"], "made")}
    game = stage.plane("game", Text("The plane", "平面"), shapes.REACH, sets, points={"real": stage.points(real)})
    losses = stage.curves("losses", Text("Losses", "损失"), ("judge", "maker"))
    right = stage.curves("right", Text("How often it is right", "判对的比例"), ("right",), low=0.4, high=1.0, base=0.5)
    on_frame(stage.scene((game, losses, right), FIGURES, pace=12))
    duel = Duel(rules, generator)
    rounds = int(asked["rounds"])
    every = max(1, rounds // FRAMES)
    mean: dict[str, float] = {}
    for step in range(rounds + 1):
        if step:
            for name, value in duel.round().items():
                mean[name] = 0.9 * mean.get(name, value) + 0.1 * value
        if step % every == 0 or step == rounds:
            made = duel.shown(seed)
            shown = {
                "points": {"made": stage.points(made)},
                "field": stage.field(duel.field()),
                "arrows": stage.points(duel.pushes(made)),
            }
            on_frame(stage.frame(step, rounds, {"game": shown}, mean, _told(step, mean.get("right"))))


def _told(step: int, right: float | None) -> Text:
    if step == 0:
        return Text(
            "Before the game: the generator knows nothing, its points lie in a heap, and the discriminator guesses.",
            "开局之前：生成器一无所知，点挤成一团；判别器也只能乱猜。",
        )
    if right is None:
        return Text(
            "The critic gives scores, not verdicts: only the slope from the heap to the shape matters.",
            "评分器只打分、不下判决：要紧的是从点堆通往形状的那道坡。",
        )
    share = f"{right:.0%}"
    if right > 0.85:
        return Text(
            f"The discriminator is right {share} of the time: it sees through nearly every point.",
            f"判别器有 {share} 判对：几乎每个假点都被识破。",
        )
    if right > 0.57:
        return Text(
            f"The discriminator is right {share} of the time. Where its field rises, the arrows pull the points.",
            f"判别器有 {share} 判对。场往哪里升，箭头就把点往哪里拉。",
        )
    return Text(
        f"The discriminator is right {share} of the time, hardly better than a coin: the points pass for real.",
        f"判别器只有 {share} 判对，和抛硬币差不多：生成的点已能以假乱真。",
    )


LESSON = Lesson(
    name="gan",
    title=Text("A game of forger and expert", "作伪者与鉴定家的对局"),
    summary=Text(
        "Two nets play against each other until the made points cannot be told from the real ones.",
        "两个网络彼此较量，直到生成的点与真的分不出来。",
    ),
    passages=passages(
        see=Text(
            "Grey points are real; red ones are made by the generator out of noise. The colour of the plane is the "
            "discriminator's opinion: light where it believes a point is real, dark where it does not. The arrows are "
            "all that the generator ever learns: which way each of its points would have to move to look more real. "
            "It never sees a grey point itself.",
            "灰点是真的，红点是生成器用噪声变出来的。平面的深浅是判别器的看法：亮处它信以为真，暗处不信。箭头是生成器"
            "得到的全部消息：每个点该往哪边挪才更像真的。灰点它自己从来没见过。",
        ),
        attempt=Text(
            "Watch 山: the points first find the middle, then the strokes. Set the penalty to 0 and give the "
            "discriminator five turns for one: its field becomes a landscape of cliffs, the arrows grow long and the "
            "points jump about. Then raise the penalty to 2: gentle slopes, short arrows, and the points settle "
            "slowly. Does a spiral come out as well?",
            "看“山”字：点先找到中间，再找到笔画。把惩罚调到 0，再让判别器走五步才轮到生成器一步：场变得悬崖林立，箭头"
            "变长，点跳来跳去。再把惩罚调到 2：坡缓了，箭头短了，点慢慢落定。换成螺旋，也学得会吗？",
        ),
        means=Text(
            "Nobody tells the generator what 山 looks like. It learns from an expert that is itself learning, and the "
            "game stands still only when the expert can do no better than a coin. With pictures it is the same game: "
            "each point is then a picture, and the plane has as many dimensions as the picture has pixels.",
            "没有人告诉生成器“山”是什么样。它跟一位自己也在学的鉴定家学，直到对方只能抛硬币，棋局才停下来。画图也是同"
            "一局棋：一个点就是一张图，平面的维数等于像素的个数。",
        ),
        paper=Text(
            "Goodfellow et al. 2014, “Generative Adversarial Networks”; the penalty is R1 of Mescheder et al. 2018, "
            "“Which Training Methods for GANs do actually Converge?”. Code: techniques/gan.py.",
            "Goodfellow 等 2014，《Generative Adversarial Networks》；惩罚即 Mescheder 等 2018 的 R1，《Which "
            "Training Methods for GANs do actually Converge?》。代码：techniques/gan.py。",
        ),
    ),
    controls=(
        Choice(
            "data",
            Text("Shape to learn", "要学的形状"),
            "mountain",
            (
                ("mountain", Text("the character 山", "“山”字")),
                ("great", Text("the character 大", "“大”字")),
                ("ring", Text("eight heaps in a ring", "一圈八堆")),
                ("moons", Text("two moons", "双月")),
                ("spiral", Text("a spiral", "螺旋")),
            ),
        ),
        Choice(
            "loss",
            Text("What they play for", "输赢怎么算"),
            "nonsaturating",
            (
                ("nonsaturating", Text("non-saturating (usual)", "不饱和（常用）")),
                ("minimax", Text("minimax (2014)", "极小极大（2014）")),
                ("least_squares", Text("least squares", "最小二乘")),
                ("hinge", Text("hinge", "合页")),
                ("relativistic", Text("relativistic", "相对式")),
            ),
        ),
        Slider(
            "turns", Text("Discriminator's turns", "判别器每轮步数"), 1, 1, 5, 1,
            Text("for one of the generator's", "生成器走一步，它走几步"),
        ),
        Slider(
            "penalty", Text("Penalty on steepness (R1)", "陡度惩罚（R1）"), 0.1, 0.0, 2.0, 0.05,
            Text("0 lets the field be a cliff", "为 0 时场可以陡如悬崖"),
        ),
        Slider("rounds", Text("Rounds", "轮数"), 1600, 200, 4000, 200),
    ),
    run=run,
)  # fmt: skip
