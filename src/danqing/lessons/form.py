"""`form`: how a poem keeps its form while it is written: what may come next, what may not (decoding.py, forms.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from danqing.encode.forms import FormConstraint, State
    from danqing.encode.prosody import Prosody
    from danqing.encode.text import Characters

SHOWN = 10  # candidates of each place
ROOM = 160  # tokens at most
WHYS = {
    "tone": Text("the wrong tone", "平仄不合"),
    "rhyme": Text("does not rhyme", "不押韵"),
    "again": Text("stands in the poem already", "诗中已用过"),
    "place": Text("no character may stand here", "此处不是字"),
    "kept": Text("kept for a later rhyme", "留给后面的韵脚"),
}
FIGURES = {
    "forbidden": Text("probability that the form takes away", "被格律拿走的概率"),
    "open": Text("characters that may come", "此处可用的字数"),
}
ANY = "any"


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """First the poem without its form, then with it, character by character."""
    from danqing.compute import seed as seeds
    from danqing.encode import forms, text
    from danqing.encode.prosody import Prosody
    from danqing.lessons import poet
    from danqing.techniques import decoding

    on_frame(stage.scene(_panels(), FIGURES, pace=2.5))
    model, vocabulary = poet.opened()
    sounds = Prosody.load()
    group = "" if asked["rhyme"] == ANY else asked["rhyme"]
    topics = (asked["topic"],) if asked["topic"] != ANY else ()
    known = group if group and vocabulary.has(f"<rhyme:{group}>") else ""
    prompt = text.prompt(vocabulary, text.Controls(asked["form"], rhyme=known, topics=topics))
    rule = forms.constraint(asked["form"], vocabulary, sounds, rhyme=group or None)
    assert isinstance(rule, forms.FormConstraint)
    end, sampling = vocabulary.id("<end>"), decoding.Sampling(temperature=asked["temperature"], min_p=0.03)
    never = frozenset(vocabulary.id(name) for name in vocabulary.specials) - {end}
    free = decoding.sample(
        model, prompt, decoding.Without(len(vocabulary), never), sampling, 1, seeds.generator(seed), end, ROOM
    )[0]
    written = vocabulary.decode(free.tokens)
    on_frame(_freely(written, asked, vocabulary, sounds, rule))
    reader = _Reader(model)
    watch = _Watch(rule, reader, vocabulary, on_frame)
    decoding.sample(reader, prompt, watch, sampling, 1, seeds.generator(seed), end, ROOM)


class _Reader:
    """The poet, whose last distribution is kept for whoever looks on: `decoding.Writes`."""

    def __init__(self, model: Any) -> None:
        self.model, self.window, self.start = model, model.window, model.start
        self.logits: Tensor | None = None

    def step(self, tokens: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """See `decoding.Writes.step`."""
        self.logits, memory = self.model.step(tokens, memory)
        return self.logits, memory


class _Watch:
    """The form, which tells a frame of every character that is chosen under it: `decoding.Constraint`."""

    def __init__(self, rule: FormConstraint, reader: _Reader, vocabulary: Characters, on_frame: OnFrame) -> None:
        self.rule, self.reader, self.vocabulary, self.on_frame = rule, reader, vocabulary, on_frame
        self.start, self.allowed, self.finished = rule.start, rule.allowed, rule.finished

    def advance(self, state: State, token: int) -> State:
        """See `decoding.Constraint.advance`."""
        after = self.rule.advance(state, token)
        if state.at < len(self.rule.slots):
            self.on_frame(self._told(state, after, token))
        return after

    def _told(self, state: State, after: State, token: int) -> dict[str, Any]:
        import torch

        assert self.reader.logits is not None
        p = torch.softmax(self.reader.logits[0].float(), dim=-1).numpy()
        mask = self.rule.allowed(state)
        slot = self.rule.slots[state.at]
        figures = {"forbidden": float(p[~mask].sum()), "open": float(mask.sum())}
        candidates = self._candidates(state, p, mask, token)
        line, place = slot.line + 1, slot.place + 1
        char = self.vocabulary.decode([token])
        if slot.token >= 0:
            say = Text(f"Line {line} ends; its mark is {char}.", f"第 {line} 句终，标点为“{char}”。")
        else:
            want = _wanted(self.rule, state, slot.line)[slot.place]
            en, zh = _asks(want)
            say = Text(
                f"Line {line}, character {place}: {en}. {figures['forbidden']:.0%} of what the poet had in mind may "
                f"not come; {int(figures['open']):,} characters may. It takes {char}.",
                f"第 {line} 句第 {place} 字：{zh}。诗人心里所想，有 {figures['forbidden']:.0%} 不能用；可用的字还有 "
                f"{int(figures['open']):,} 个。取“{char}”。",
            )
        panels = {
            "verse": {"lines": _cells(self.rule, after, self.vocabulary, state.at)},
            "next": {"candidates": candidates},
        }
        return stage.frame(after.at, len(self.rule.slots), panels, figures, say)

    def _candidates(
        self, state: State, p: NDArray[np.floating[Any]], mask: NDArray[np.bool_], chosen: int
    ) -> list[dict[str, Any]]:
        """The likeliest tokens, and the chosen one, each with the reason why it may not come."""
        order = [int(token) for token in (-p).argsort()[:SHOWN]]
        if chosen not in order:
            order = [*order[:-1], chosen]
        found = []
        for token in order:
            name = self.vocabulary.token(token)
            why = "" if mask[token] else _why(self.rule, state, token)
            found.append({"c": "⏎" if name == "<end>" else name, "p": round(float(p[token]), 4), "why": why,
                          "chosen": token == chosen})  # fmt: skip
        return found


def _why(rule: FormConstraint, state: State, token: int) -> str:
    """Why a token may not come next."""
    slot = rule.slots[state.at]
    tones = rule.tones
    if slot.token >= 0 or not tones.chinese[token]:
        return "place"
    if rule.no_repeat and token in state.tokens:
        return "again"
    options = [o for k, o in enumerate(rule.lines[slot.line].options) if state.options >> k & 1]
    here = [o for o in options if o.tones[slot.place] == "中" or tones.by_tone[o.tones[slot.place]][token]]
    if not here:
        return "tone"
    last = slot.place == rule.lines[slot.line].length - 1
    if last and all(o.rhyme >= 0 for o in here):
        return "rhyme"
    return "tone" if last else "kept"


def _wanted(rule: FormConstraint, state: State, line: int) -> list[str]:
    """What each place of a line asks for as things stand: 平, 仄, 中 (either); followed by 韵 where it rhymes."""
    now = rule.slots[state.at].line if state.at < len(rule.slots) else len(rule.lines)
    options = [
        option
        for k, option in enumerate(rule.lines[line].options)
        if (state.options >> k & 1 if line == now else option.templates & state.templates)
    ]
    found = []
    for place in range(rule.lines[line].length):
        tones = {option.tones[place] for option in options}
        tone = tones.pop() if len(tones) == 1 else "中"
        rhymes = place == rule.lines[line].length - 1 and any(option.rhyme >= 0 for option in options)
        found.append(tone + ("韵" if rhymes else ""))
    return found


def _asks(want: str) -> tuple[str, str]:
    tone = {"平": ("a level tone", "宜平"), "仄": ("an oblique tone", "宜仄"), "中": ("either tone", "可平可仄")}[
        want[0]
    ]
    return (f"{tone[0]} that rhymes", f"{tone[1]}，押韵") if want.endswith("韵") else tone


def _cells(rule: FormConstraint, state: State, vocabulary: Characters, now: int) -> list[list[dict[str, Any]]]:
    """The poem in cells: what is there, what its tone is, what the other places ask for."""
    lines: list[list[dict[str, Any]]] = []
    for number, slot in enumerate(rule.slots):
        if slot.place == 0:
            lines.append([])
            wants = _wanted(rule, state, slot.line)
        if slot.place >= len(wants):
            continue
        there = number < state.at
        char = vocabulary.decode([state.tokens[number]]) if there else ""
        tone = rule.tones.prosody.usual_tone(char) if there else None
        lines[-1].append({
            "c": char, "want": wants[slot.place][0], "rhyme": wants[slot.place].endswith("韵"),
            "tone": "" if tone is None else "中" if tone == "both" else tone,
            "state": "now" if number == now else "done" if there else "todo",
        })  # fmt: skip
    return lines


def _freely(
    written: str, asked: Asked, vocabulary: Characters, sounds: Prosody, rule: FormConstraint
) -> dict[str, Any]:
    """The frame of the poem that was written without its form, and how often it leaves it."""
    from danqing.encode import forms
    from danqing.errors import BadRequest

    lines = [line for line in written.replace("。", "，").split("，") if line]
    try:
        faults: int | None = len(forms.deviations(asked["form"], written, vocabulary, sounds))
    except BadRequest:  # too long, or lines of another length
        faults = None
    says = {
        None: Text(
            "First without the form: the poet has not even kept the lines' length.",
            "先不管格律：连句子的字数都没守住。",
        ),
        0: Text(
            "First without the form: this time the poet has kept it by itself.", "先不管格律：这一回，诗人自己就合律。"
        ),
    }
    say = says.get(faults) or Text(
        f"First without the form: the poem leaves it in {faults} {'place' if faults == 1 else 'places'}.",
        f"先不管格律：出律 {faults} 处。",
    )
    cells = [[_plain(char, sounds) for char in line] for line in lines]
    panels = {"free": {"lines": cells}, "verse": {"lines": _cells(rule, rule.start(), vocabulary, -1)}}
    return stage.frame(0, len(rule.slots), panels, None, say)


def _plain(char: str, sounds: Prosody) -> dict[str, Any]:
    tone = sounds.usual_tone(char)
    return {"c": char, "want": "", "rhyme": False, "tone": "中" if tone == "both" else tone or "", "state": "done"}


def _panels() -> Sequence[dict[str, Any]]:
    whys = {name: text.as_dict() for name, text in WHYS.items()}
    return (
        {"id": "verse", "kind": "verse", "title": Text("With the form", "依格律").as_dict()},
        {"id": "next", "kind": "bars", "title": Text("What could come next", "下一个字").as_dict(), "whys": whys},
        {"id": "free", "kind": "verse", "title": Text("Without the form", "不依格律").as_dict(), "plain": True},
        stage.curves("taken", Text("What the form takes away", "格律拿走多少"), ("forbidden",), low=0, high=1),
    )


LESSON = Lesson(
    name="form",
    title=Text("Dancing in fetters", "戴着镣铐跳舞"),
    summary=Text(
        "How a poem of the Tang keeps its tones and rhymes while a model writes it, character by character.",
        "模型一个字一个字写诗时，平仄与韵脚是怎样守住的。",
    ),
    passages=passages(
        see=Text(
            "The shipped poet writes a poem. The bars are the characters it finds likeliest at this place; those "
            "struck out are forbidden by the form, each with the reason: the tone, the rhyme, or that it stands in "
            "the poem already. In the grid, each empty place says what it asks for: 平 level, 仄 oblique, 中 either; "
            "a red ring is a rhyme.",
            "随附的诗人在写诗。横条是它此刻最想写的字，被划掉的是格律不许的，各附缘由：平仄不合、不押韵，或诗中已用"
            "过。方格里，每个空位写着它要什么：平、仄，或中（可平可仄）；红圈是韵脚。",
        ),
        attempt=Text(
            "Watch the second character of the first line: after it, the pattern of all other even places is settled, "
            "and the grid changes at once. Ask for the narrow rhyme 三江 and see the last characters run short. Raise "
            "the temperature: the wilder the poet, the more the form has to take away.",
            "留意第一句第二字：它一落定，其余偶数位的平仄就全定了，方格随即改变。指定窄韵“三江”，看韵脚如何捉襟见肘。"
            "再把温度调高：诗人越狂，格律拿走的就越多。",
        ),
        means=Text(
            "The model knows the form only as a habit and breaks it now and then. So it is not asked to be careful: "
            "before each draw, what would break the form is given the probability nothing, and what is left is scaled "
            "up. Nothing is tried and taken back, for the mask also looks ahead: a rhyme group stays open only while "
            "it has characters enough.",
            "模型只把格律当习惯，偶尔会破。所以并不求它小心：每次落笔之前，把会出律的字概率归零，其余的按比例放大。也"
            "不用写了再改，因为这层掩码会往前看：一个韵部只有剩下的字够用时才开着。",
        ),
        paper=Text(
            "The four kinds of line: Wang Li 1958, “Hanyu shilüxue”. Drawing with a mask: constrained decoding, as "
            "for grammars; min-p: Nguyen et al. 2025. Code: encode/forms.py, techniques/decoding.py.",
            "四种句式：王力 1958，《汉语诗律学》。带掩码的抽样：与语法约束解码同理；min-p：Nguyen 等 2025。"
            "代码：encode/forms.py、techniques/decoding.py。",
        ),
    ),
    controls=(
        Choice(
            "form",
            Text("Form", "体裁"),
            "五绝",
            (
                ("五绝", Text("五绝: four lines of five", "五绝")),
                ("七绝", Text("七绝: four lines of seven", "七绝")),
                ("五律", Text("五律: eight lines of five", "五律")),
                ("七律", Text("七律: eight lines of seven", "七律")),
                ("对联", Text("对联: a couplet", "对联")),
            ),
        ),
        Choice(
            "topic",
            Text("About", "题材"),
            "秋",
            (
                (ANY, Text("anything", "随意")),
                ("春", Text("spring 春", "春")),
                ("秋", Text("autumn 秋", "秋")),
                ("月", Text("the moon 月", "月")),
                ("山", Text("mountains 山", "山")),
                ("酒", Text("wine 酒", "酒")),
                ("梅", Text("plum blossom 梅", "梅")),
            ),
        ),
        Choice(
            "rhyme",
            Text("Rhyme", "韵"),
            ANY,
            (
                (ANY, Text("as it comes", "随它")),
                ("一东", Text("一东, wide", "一东")),
                ("七阳", Text("七阳, wide", "七阳")),
                ("十一尤", Text("十一尤", "十一尤")),
                ("八庚", Text("八庚", "八庚")),
                ("三江", Text("三江, very narrow", "三江（极窄）")),
            ),
            Text("a couplet has none", "对联没有"),
        ),
        Slider("temperature", Text("Temperature", "温度"), 0.9, 0.2, 2.0, 0.1,
               Text("how freely it draws", "下笔有多放")),
    ),
    run=run,
)  # fmt: skip
