"""`reward`: how a reward changes what a melody-writing agent plays, and what holds it back (techniques/policy.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from danqing.techniques import policy, sequence

NOTES = 16  # eighths of a melody: four bars of two beats
SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of the major scale's degrees
PITCHES = 15  # two octaves of degrees, and the tonic on top
HOLD, START = PITCHES, PITCHES + 1  # tokens: the note before goes on; the beginning
VOCABULARY = PITCHES + 2
LOW = 60  # MIDI pitch of degree 0
PRIMER = 140  # steps in which the model learns to write like the phrases
BATCH = 64
GROUP = 48  # melodies that are judged against one another
SHOWN = 4
FRAMES = 40
FIGURES = {
    "reward": Text("reward", "奖励"),
    "kl": Text("KL from what it learned, nats", "与所学的 KL（奈特）"),
    "likeness": Text("likeness to folk phrases", "像民歌的程度"),
    "different": Text("different melodies in 48", "48 条里不同的旋律"),
}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """Learn to write folk-like phrases; then write for a reward."""
    import torch

    from danqing.compute import seed as seeds
    from danqing.techniques import policy, sequence

    generator = seeds.generator(seed)
    rounds = int(asked["rounds"])
    on_frame(stage.scene(_panels(asked), FIGURES, pace=8))
    config = sequence.Config(VOCABULARY, width=48, depth=1, architecture="gru")
    model, prior = sequence.build(config), sequence.build(config)
    _learn(model, generator, rounds, on_frame)
    prior.load_state_dict(model.state_dict())
    prior.eval().requires_grad_(False)
    told = _Teller(asked, prior, seed)
    on_frame(told.frame(model, 0, 0.0, first=True))
    adam = torch.optim.Adam(model.parameters(), float(asked["rate"]))
    every = max(1, rounds // FRAMES)
    for number in range(1, rounds + 1):
        batch = _written(model, GROUP, generator)
        earned = torch.from_numpy(told.reward(batch.tokens[:, 1:].numpy())).float()
        own = policy.log_probs(model(batch.tokens[:, :-1]), batch)
        with torch.no_grad():
            old = policy.log_probs(prior(batch.tokens[:, :-1]), batch)
        advantage = policy.advantages(earned, own, old, float(asked["kl"]), GROUP)
        adam.zero_grad(set_to_none=True)
        policy.policy_loss(own, advantage, batch.written).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        if number % every == 0 or number == rounds:
            apart = float(policy.divergence(own, old).mean())
            on_frame(told.frame(model, number, apart))


# --- the phrases that it learns from ----------------------------------------------------------------------------------


def phrases(count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Folk-like phrases: (count, NOTES) tokens.

    They go by steps and small leaps on the five tones, in an arch, the second half answers the first, and they end on
    a long tonic. Written here for this lesson; no tune of anybody's.
    """
    five = np.array([0, 1, 2, 4, 5, 7, 8, 9, 11, 12])  # degrees of the pentatonic scale
    rhythms = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 0]], dtype=bool)
    made = np.empty((count, NOTES), dtype=np.int64)
    for row in made:
        at = int(chance.integers(2, 6))
        beats = rhythms[chance.choice(4, size=4, p=[0.35, 0.3, 0.2, 0.15])]
        beats[2] = beats[0]  # the answer goes like the question
        for place in range(NOTES):
            if not beats[place // 4][place % 4]:
                row[place] = HOLD
                continue
            aim = 5.5 - abs(place - 7) * 0.5  # up to the middle, and down
            drift = 0.25 * np.sign(aim - at)
            at += int(chance.choice([-2, -1, 0, 1, 2], p=_lean(drift)))
            at = min(max(at, 0), len(five) - 1)
            row[place] = five[at]
        row[12:] = (int(five[min(max(at, 1), 3)]), HOLD, 0 if at < 5 else 7, HOLD)
    return made


def _lean(drift: float) -> NDArray[np.float64]:
    p = np.array([0.1, 0.32, 0.16, 0.32, 0.1])
    p = p * np.exp(drift * np.array([-2, -1, 0, 1, 2]))
    whole: NDArray[np.float64] = p / p.sum()
    return whole


def _learn(model: sequence.Model, generator: torch.Generator, rounds: int, on_frame: OnFrame) -> None:
    import torch

    from danqing.techniques import sequence

    seed = int(torch.randint(2**31, (), generator=generator))
    works = torch.from_numpy(phrases(600, np.random.default_rng(seed)))
    tokens = torch.cat([torch.full((len(works), 1), START), works], dim=1)
    adam = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(PRIMER):
        for group in adam.param_groups:
            group["lr"] = 1e-2 * (1 - step / PRIMER) + 5e-4
        rows = torch.randint(len(tokens), (BATCH,), generator=generator)
        loss = sequence.loss(model, tokens[rows])
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        if step % 20 == 0:
            say = Text(
                f"It learns to write from 600 phrases first: step {step} of {PRIMER}, {float(loss.detach()):.2f} nats "
                "a note.",
                f"先照着 600 条乐句学写：第 {step} 步，共 {PRIMER} 步，每个音 {float(loss.detach()):.2f} 奈特。",
            )
            on_frame(stage.frame(0, rounds, {"before": {"rolls": _rolls(works[:SHOWN].numpy())}}, None, say))


def _written(model: sequence.Model, count: int, generator: torch.Generator) -> policy.Written:
    """Melodies as the model draws them, each on its own, twins and all."""
    import torch

    from danqing.techniques import policy

    allowed = np.ones((count, NOTES, VOCABULARY), dtype=np.bool_)
    allowed[:, :, START] = False
    allowed[:, 0, HOLD] = False
    memory = model.start(count)
    last = torch.full((count, 1), START)
    rows = [last]
    for place in range(NOTES):
        logits, memory = model.step(last, memory)
        masked = torch.where(torch.from_numpy(allowed[:, place]), logits.float(), -torch.inf)
        last = torch.multinomial(torch.softmax(masked, dim=-1), 1, generator=generator)
        rows.append(last)
    tokens = torch.cat(rows, dim=1).clone()
    every = torch.ones(count, NOTES, dtype=torch.bool)
    return policy.Written(tokens, every, torch.from_numpy(policy.packed(allowed)))


# --- rewards ----------------------------------------------------------------------------------------------------------


def sounding(tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """The degree that sounds at each eighth: (N, NOTES)."""
    found = tokens.copy()
    for place in range(1, NOTES):
        found[:, place] = np.where(tokens[:, place] == HOLD, found[:, place - 1], tokens[:, place])
    return found


def _rises(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    moves = np.diff(sounding(tokens), axis=1)
    return (moves > 0).mean(axis=1)  # type: ignore[no-any-return]


def _leaps(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    moves = np.abs(np.diff(sounding(tokens), axis=1))
    return np.minimum(moves, 7).mean(axis=1) / 7  # type: ignore[no-any-return]


def _long(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    return (tokens == HOLD).mean(axis=1)  # type: ignore[no-any-return]


def _returns(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much of the first half comes back in the second."""
    heard = sounding(tokens)
    return (heard[:, : NOTES // 2] == heard[:, NOTES // 2 :]).mean(axis=1)  # type: ignore[no-any-return]


def _high(tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    return sounding(tokens).mean(axis=1) / (PITCHES - 1)  # type: ignore[no-any-return]


REWARDS: dict[str, tuple[Text, Callable[[NDArray[np.int64]], NDArray[np.float64]]]] = {
    "rises": (Text("every step upward", "步步向上"), _rises),
    "leaps": (Text("wide leaps", "大跳"), _leaps),
    "long": (Text("long notes", "长音"), _long),
    "returns": (Text("the second half repeats the first", "后半重复前半"), _returns),
    "high": (Text("high notes", "高音"), _high),
}


# --- what is shown ----------------------------------------------------------------------------------------------------


class _Teller:
    """Looks at a model now and then, with the same noise each time."""

    def __init__(self, asked: Asked, prior: sequence.Model, seed: int) -> None:
        self.asked, self.prior, self.seed = asked, prior, seed
        self.reward = REWARDS[asked["reward"]][1]
        self.usual = 0.0  # nats of a melody under the prior, as the prior writes

    def frame(self, model: sequence.Model, number: int, apart: float, first: bool = False) -> dict[str, Any]:
        import torch

        from danqing.techniques import policy

        batch = _written(model, GROUP, torch.Generator().manual_seed(self.seed))
        melodies = batch.tokens[:, 1:].numpy()
        with torch.no_grad():
            likely = float(policy.log_probs(self.prior(batch.tokens[:, :-1]), batch).sum(1).mean())
        self.usual = likely if first else self.usual
        earned = self.reward(melodies)
        different = len({row.tobytes() for row in melodies})
        figures = {
            "reward": float(earned.mean()), "kl": apart, "different": float(different),
            "likeness": min(1.0, float(np.exp((likely - self.usual) / NOTES))),
        }  # fmt: skip
        panels = {"after": {"rolls": _rolls(melodies[:SHOWN])}}
        if first:
            panels["before"] = {"rolls": _rolls(melodies[:SHOWN])}
        return stage.frame(number, int(self.asked["rounds"]), panels, figures, _told(number, figures))


def _told(number: int, figures: dict[str, float]) -> Text:
    reward, like, different = figures["reward"], figures["likeness"], int(figures["different"])
    if number == 0:
        return Text(
            f"It has learned to write. Now it is paid: reward {reward:.2f} to begin with.",
            f"写是会写了，现在开始论功行赏：起初的奖励是 {reward:.2f}。",
        )
    if different <= GROUP // 3:
        return Text(
            f"Reward {reward:.2f}, but only {different} different melodies in {GROUP}: it has found the one that pays "
            "and plays nothing else.",
            f"奖励 {reward:.2f}，可 {GROUP} 条里只有 {different} 条不同：它找到了最值钱的那一条，别的都不弹了。",
        )
    if like < 0.5:
        return Text(
            f"Reward {reward:.2f}; what it plays has little left of the phrases it learned from.",
            f"奖励 {reward:.2f}；它弹的已经不大像当初学的乐句了。",
        )
    return Text(
        f"Reward {reward:.2f}; it still plays in the manner it learned.",
        f"奖励 {reward:.2f}；弹的还是学来的那个味道。",
    )


def _rolls(melodies: NDArray[np.int64]) -> list[list[list[int]]]:
    """Each melody as [onset, length, pitch], in eighths and MIDI pitches."""
    found = []
    for row in melodies.tolist():
        notes: list[list[int]] = []
        for place, token in enumerate(row):
            if token == HOLD and notes:
                notes[-1][1] += 1
            elif token < PITCHES:
                notes.append([place, 1, LOW + 12 * (token // 7) + SCALE[token % 7]])
        found.append(notes)
    return found


def _panels(asked: Asked) -> list[dict[str, Any]]:
    roll = {"kind": "rolls", "low": LOW, "high": LOW + 24, "length": NOTES, "eighth_s": 0.24}
    return [
        {"id": "before", "title": Text("As it learned to write", "学成时所写").as_dict(), **roll},
        {"id": "after", "title": Text("Written for the reward", "为奖励而写").as_dict(), **roll, "now": True},
        stage.curves("earned", REWARDS[asked["reward"]][0], ("reward",), low=0, high=1),
        stage.curves("kl", Text("How far it went", "走了多远"), ("kl",), low=0),
        stage.curves("kept", Text("How much it still sounds like folk", "还像不像民歌"), ("likeness",), low=0, high=1),
        stage.curves("variety", Text("Different melodies", "不同的旋律"), ("different",), low=0, high=GROUP),
    ]


LESSON = Lesson(
    name="reward",
    title=Text("Playing for applause", "为掌声而弹"),
    summary=Text(
        "A small composer is paid for its melodies: it gets better, and then it gets strange.",
        "一位小作曲家按曲领赏：先是变好，随后变怪。",
    ),
    passages=passages(
        see=Text(
            "A small recurrent net first learns to write from 600 folk-like phrases. Then it writes 48 melodies a "
            "round, each is paid, and what was paid better than the others becomes likelier. In black: four melodies "
            "from before; in red: four from the same chance now. Press a number to hear one.",
            "一个小小的循环网络先照着 600 条民歌风的乐句学写。之后每轮写 48 条，逐条给赏；比别的得赏多的，以后就更容易"
            "写出来。黑的四条是从前写的，红的四条是同样的运气此刻写的。按数字可以听。",
        ),
        attempt=Text(
            "Set the KL price to 0 and run: the reward climbs to the top and the melodies become one and the same. "
            "Raise it to 0.1 and the same reward bends the melodies and does not break them. Pay for long notes, and "
            "it learns silence's trick: one note, held.",
            "把 KL 的价钱调到 0 再跑：奖励冲到顶，旋律却全成了同一条。调到 0.1：同样的奖励只让旋律弯一弯，不至于折断。"
            "试着奖励长音，它会学到取巧的办法：一个音拖到底。",
        ),
        means=Text(
            "A reward is only a stand-in for what we want, and a diligent learner finds the gap between the two. The "
            "KL price makes it pay, in the same coin, for every step away from how it learned to write. How to weigh "
            "the two is not a matter of mathematics: it is the taste of whoever sets the slider.",
            "奖励只是心愿的替身，勤奋的学生总会找到两者之间的缝。KL 的价钱让它每偏离所学一步，就用同一种钱付一次账。"
            "两者怎样权衡不是数学问题，而是推这个滑块的人的品味。",
        ),
        paper=Text(
            "Williams 1992, REINFORCE; the baseline is that of Kool et al. 2019 (RLOO); KL to the prior after Jaques "
            "et al. 2017, “Sequence Tutor”. Code: techniques/policy.py, techniques/sequence.py.",
            "Williams 1992，REINFORCE；基线依 Kool 等 2019（RLOO）；对先验的 KL 依 Jaques 等 2017，《Sequence Tutor》。"
            "代码：techniques/policy.py、techniques/sequence.py。",
        ),
    ),
    controls=(
        Choice("reward", Text("Paid for", "奖励什么"), "rises",
               tuple((name, text) for name, (text, _) in REWARDS.items())),
        Slider("kl", Text("KL price", "KL 的价钱"), 0.02, 0.0, 0.2, 0.01,
               Text("reward taken off for each nat away from the model it was", "每偏离原模型一奈特，扣多少奖励")),
        Slider("rate", Text("Learning rate", "学习率"), 0.004, 0.001, 0.02, 0.001),
        Slider("rounds", Text("Rounds", "轮数"), 160, 40, 400, 20),
    ),
    run=run,
)  # fmt: skip
