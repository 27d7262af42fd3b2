"""`attention`: what a Transformer's heads look at while they read a line of verse (techniques/sequence.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from danqing.lessons import Asked, Choice, Lesson, OnFrame, Slider, Text, passages, stage

if TYPE_CHECKING:
    from torch import Tensor

    from danqing.encode.text import Characters
    from danqing.techniques.sequence import Model

SHOWN = 8  # expected characters of each place
MEAN = "mean"
POEMS = {
    "静夜思": "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
    "登鹳雀楼": "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
    "春晓": "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
    "江雪": "千山鸟飞绝，万径人踪灭。孤舟蓑笠翁，独钓寒江雪。",
}
AUTHORS = {
    "静夜思": ("Quiet Night Thoughts, Li Bai", "李白"),
    "登鹳雀楼": ("On the Stork Tower, Wang Zhihuan", "王之涣"),
    "春晓": ("Spring Morning, Meng Haoran", "孟浩然"),
    "江雪": ("River Snow, Liu Zongyuan", "柳宗元"),
}
FIGURES = {
    "surprise": Text("surprise, nats", "意外程度（奈特）"),
    "far": Text("how far back it looks, characters", "往回看多远（字）"),
}


def run(asked: Asked, seed: int, on_frame: OnFrame) -> None:
    """Read a poem character by character; nothing here is left to chance."""
    import torch

    from danqing.encode import text
    from danqing.lessons import poet

    poem = POEMS[asked["poem"]]
    model, vocabulary = poet.opened()
    before = text.prompt(vocabulary, text.Controls("五绝"))
    tokens = torch.tensor([[*before, *vocabulary.encode(poem)]])
    seen, logits = looks(model, tokens)
    layer = seen[int(asked["layer"]) - 1]  # (H, T, T)
    heads = {str(number + 1): table for number, table in enumerate(layer)}
    heads[MEAN] = layer.mean(dim=0)
    shown = heads[asked["head"]]
    labels = [*("五绝", "始"), *poem]  # the heading: which form; the text begins
    on_frame(stage.scene(_panels(labels), FIGURES, pace=2.5))
    tables = [{"label": name, **stage.field(_clear(table).numpy())} for name, table in heads.items() if name != MEAN]
    first = len(before)
    for place in range(first, tokens.shape[1]):
        weights = shown[place]  # what this character looks at, itself included
        far = float((weights * (place - torch.arange(len(weights))).clamp_min(0)).sum())
        chances = torch.log_softmax(logits[place - 1], dim=-1)
        chosen = int(tokens[0, place])
        figures = {"surprise": -float(chances[chosen]), "far": far}
        panels: dict[str, Any] = {
            "verse": {"lines": _cells(labels, weights.tolist(), place, first)},
            "next": {"candidates": _expected(vocabulary, chances, chosen)},
            "heads": {"row": place},
        }
        if place == first:
            panels["heads"]["tables"] = tables
        say = _told(poem[place - first], labels, weights, place, (figures, asked))
        on_frame(stage.frame(place - first + 1, len(poem), panels, figures, say))


def looks(model: Model, tokens: Tensor) -> tuple[list[Tensor], Tensor]:
    """What every head of every block looks at: for each block (H, T, T), rows summing to 1; and the logits (T, V).

    tokens (1, T) int64. The queries and keys are the model's own, taken where it has made them.
    """
    import torch

    from danqing.techniques import sequence

    config = model.config
    length = tokens.shape[1]
    width = config.width // config.heads
    mixed: list[Tensor] = []
    blocks: Any = model.blocks
    hooks = [block.mix.register_forward_hook(lambda _m, _i, out: mixed.append(out.detach())) for block in blocks]
    try:
        with torch.no_grad():
            logits: Tensor = model(tokens)[0].float()
    finally:
        for hook in hooks:
            hook.remove()
    hidden = torch.full((length, length), -torch.inf).triu(1)
    tables = []
    for each in mixed:
        qkv = each.view(1, length, 3, config.heads, width).permute(2, 0, 3, 1, 4).contiguous()
        q, k, _ = sequence.turned(qkv, sequence.rotary(0, length, width, each))[:, 0]
        tables.append(torch.softmax(q.float() @ k.float().transpose(1, 2) + hidden, dim=-1))
    return tables, logits


def _clear(table: Tensor) -> Tensor:
    """The root, so that small shares are seen as well."""
    return table.sqrt()


def _cells(labels: list[str], weights: list[float], now: int, first: int) -> list[list[dict[str, Any]]]:
    """The heading in a line of its own, then the poem's lines with their marks; what is looked at glows."""
    lines: list[list[dict[str, Any]]] = [[]]
    for number, char in enumerate(labels):
        if number == first:
            lines.append([])
        state = "now" if number == now else "done" if number < now else "todo"
        lines[-1].append({
            "c": char, "want": "", "tone": "", "rhyme": False, "state": state,
            "weight": round(weights[number], 3) if number <= now else 0,
        })  # fmt: skip
        if char in "，。":
            lines.append([])
    return [line for line in lines if line]


def _expected(vocabulary: Characters, chances: Tensor, chosen: int) -> list[dict[str, Any]]:
    ranked: list[int] = chances.topk(3 * SHOWN).indices.tolist()
    order = [token for token in ranked if len(vocabulary.token(token)) == 1][:SHOWN]  # no heading in mid-poem
    if chosen not in order:
        order = [*order[:-1], chosen]
    names = {token: vocabulary.token(token) for token in order}
    return [
        {"c": "⏎" if names[token] == "<end>" else names[token], "p": round(float(chances[token].exp()), 4), "why": "",
         "chosen": token == chosen}
        for token in order
    ]  # fmt: skip


def _told(char: str, labels: list[str], weights: Tensor, place: int, at: tuple[dict[str, float], Asked]) -> Text:
    figures, asked = at
    most = int(weights[:place].argmax()) if place else 0
    share = float(weights[most])
    en = "its heads look" if asked["head"] == MEAN else f"head {asked['head']} looks"
    zh = "各头合起来" if asked["head"] == MEAN else f"第 {asked['head']} 头"
    if figures["surprise"] < 1:
        guess = ("it had been expected", "正在意料之中")
    elif figures["surprise"] < 5:
        guess = ("it had been thought of", "曾想到过")
    else:
        guess = ("nobody would have guessed it", "谁也猜不到")
    return Text(
        f"Reading {char}: {en} back at {labels[most]} most ({share:.0%}). As for {char} itself, {guess[0]}.",
        f"读到“{char}”：{zh}最多回看“{labels[most]}”（{share:.0%}）。至于“{char}”字，{guess[1]}。",
    )


def _panels(labels: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": "verse", "kind": "verse", "title": Text("Where it looks", "它在看哪里").as_dict(), "glow": True},
        {"id": "next", "kind": "bars", "title": Text("What it expected here", "此处它料想的字").as_dict(), "whys": {}},
        {"id": "heads", "kind": "matrix", "title": Text("Who looks at whom, head by head", "每个头：谁看谁").as_dict(),
         "labels": labels},
        stage.curves("surprise", Text("Surprise", "意外"), ("surprise",), low=0),
    ]  # fmt: skip


LESSON = Lesson(
    name="attention",
    title=Text("What a reader looks back at", "读诗时回头看什么"),
    summary=Text(
        "A Transformer reads a poem everybody knows; see which characters each of its heads looks back at.",
        "让 Transformer 读一首人人会背的诗，看它的每个头回望哪些字。",
    ),
    passages=passages(
        see=Text(
            "The shipped poet reads a poem, character by character. The red glow shows where the chosen head looks "
            "back; the tables show all four heads of the layer, a row for each character that looks, a column for "
            "each that is looked at. The bars are what it expected at this place before it read on.",
            "随附的诗人一字一字地读诗。红晕是所选的头回望之处；四张表是这一层的四个头，一行是一个在看的字，一列是一个"
            "被看的字。横条是它读到此处之前料想的字。",
        ),
        attempt=Text(
            "Go through the layers. In layer 1 all heads look at the heading, at what was asked for; in 3 to 5 most "
            "look at the marks, where lines end; head 2 of layer 5 looks at the neighbour. Then take head 2 of layer "
            "6 and River Snow: at 踪 it looks back at 绝, which stands in the line above where the next character has "
            "to stand; and 灭 comes.",
            "一层层看过去。第一层各头都看题头，看要写的是什么；三到五层多看标点，看句子停在哪里；第五层第 2 头看邻字。"
            "再选第六层第 2 头和《江雪》：读到“踪”，它回望“绝”，正是上一句里与下一个字相对的位置；接着来的是“灭”。",
        ),
        means=Text(
            "A Transformer has no memory but its own past: at every character each head asks a question (a query), "
            "every earlier character offers an answer (a key), and what fits is mixed in. Nobody told the heads about "
            "couplets or rhymes; they came upon them because it makes the next character easier to guess.",
            "Transformer 除了自己读过的字，没有别的记忆：每读一字，各头发一问（查询），先前的字各应一声（键），合拍的"
            "就混进来。没有人教过这些头对仗和押韵，它们是为了更容易猜中下一个字，自己摸索到的。",
        ),
        paper=Text(
            "Vaswani et al. 2017, “Attention Is All You Need”; rotary positions: Su et al. 2021. Code: "
            "techniques/sequence.py.",
            "Vaswani 等 2017，《Attention Is All You Need》；旋转位置：Su 等 2021。代码：techniques/sequence.py。",
        ),
    ),
    controls=(
        Choice("poem", Text("Poem", "诗"), "江雪",
               tuple((name, Text(f"{name} ({en})", f"{name}（{zh}）")) for name, (en, zh) in AUTHORS.items())),
        Slider("layer", Text("Layer", "层"), 6, 1, 6, 1),
        Choice("head", Text("Head", "头"), "2",
               ((MEAN, Text("all four together", "四个合看")), *((str(n), Text(str(n), str(n))) for n in range(1, 5)))),
    ),
    run=run,
)  # fmt: skip
