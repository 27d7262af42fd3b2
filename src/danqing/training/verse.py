"""Classical Chinese poems as training sequences: vocabulary, topic words, themes, controls dropped at random.

Shared by the recipes that learn from poems (poet, poet_lstm, reviser) and by what measures them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from danqing.encode.prosody import Prosody
from danqing.encode.text import END, UNKNOWN, Characters, Controls, prompt
from danqing.errors import BadRequest
from danqing.training import texts
from danqing.training.texts import Poem, Sample

REGULATED = ("五绝", "七绝", "五律", "七律")
FORMS = (*REGULATED, "古诗", "词", "对联")
MASK = "<mask>"  # what the reviser fills in
POETS, POET_POEMS, TUNE_POEMS = 120, 30, 30  # so many poets of each age and kind, with so many poems; tunes likewise
LEAST = 3  # a character of the vocabulary is seen so often in the training part
NAMELESS = ("不详", "无名氏", "佚名", "阙名", "")

# What a poem is about where no single word says so: a title that fits the pattern, or this many of the characters.
THEMES: dict[str, tuple[str, str, int]] = {
    "送别": ("^送|送.+[归赴之游往还]|别.+|饯|留别|赠别", "别离送泪柳津渡樽酒亭", 4),
    "边塞": ("塞|从军|出塞|凉州|边|戍|胡笳", "塞胡戍烽漠沙羌笛单于匈奴征戎旌边虏", 3),
    "思乡": ("乡|归思|思归|望家|客中|旅", "乡故园归客旅梦家书雁", 4),
    "怀古": ("怀古|咏史|故宫|台城|金陵|赤壁|姑苏|古迹", "古昔六朝兴亡遗故宫荒台", 4),
    "山水": ("山居|游.+山|溪|江行|泉|瀑|湖", "山水溪泉峰云石林涧岩", 5),
    "田园": ("田|村|农|耕|桑|渔家|野老", "田村农耕桑麻鸡犬牛麦稻篱", 3),
    "隐居": ("隐|幽居|闲居|山人|处士", "隐闲幽樵渔钓松门琴鹤", 4),
    "禅意": ("寺|僧|禅|上人|院|和尚", "寺僧禅钟佛空磬经法", 3),
    "饮酒": ("酒|饮|醉|对酌", "酒醉杯樽酌饮醒壶", 3),
    "闺怨": ("闺|宫怨|怨|宫词|妾", "闺妾镜眉妆罗帐泪鸳鸯", 4),
    "相思": ("相思|寄远|怀人|忆", "相思忆梦恨断肠鸿", 3),
    "友情": ("访|寄.+|酬|赠|招", "君故人友知音相逢", 4),
    "战争": ("战|军行|破阵|征", "战军兵甲马旗将阵戈鼓", 4),
    "咏梅": ("梅", "梅疏影暗香", 3),
    "咏雪": ("雪", "雪霰琼玉六花", 3),
    "中秋": ("中秋|八月十五", "中秋桂蟾婵娟", 3),
    "重阳": ("重阳|九日|登高", "重阳菊茱萸登高", 3),
    "春天": ("春|清明|寒食|上巳", "春花柳燕莺桃杏芳", 4),
    "夏天": ("夏|暑|荷|莲", "夏暑荷莲蝉荔扇", 3),
    "秋天": ("秋", "秋雁菊霜叶砧蛩", 3),
    "冬天": ("冬|岁暮|除夜|腊", "冬雪寒冰腊炉", 3),
    "忧愁": ("愁|悲|哀|伤|哭|挽", "愁悲泪恨哀伤断", 3),
    "欢喜": ("喜|贺|乐", "喜笑欢乐歌舞", 3),
    "豪放": ("侠|剑|大风|壮", "剑豪壮雄侠万千气龙虎", 5),
}  # fmt: skip
# Characters that say too little to be a topic by themselves.
EMPTY = frozenset(
    "不无有一人何来上中自时此为如相日生下得今还已未更又可谁知出去与之是向在从应见多前后到同间里因欲似须看入能非其于"
    "也者而以乃且若但只却莫即便犹尚曾既将使令教被把那这个些几两三四五六七八九十百千万半成当须闻行开过起落满长高深远"
    "大小新旧好难易足老少年岁处所事物身心我君子吾汝尔他谓言说道作首和次韵题赠寄送答酬呈其二"
)
_TITLE_NOISE = re.compile(
    r"\s+|其[一二三四五六七八九十百]+$|[（(〔【].*?[)）〕】]|[一二三四五六七八九十百]+首.*$|[（(〔【].*$"
)


@dataclass(frozen=True)
class Anthology:
    """Poems, split, with the vocabulary and the topic words of the training part."""

    training: list[Poem]
    held: list[Poem]  # held out
    vocabulary: Characters
    words: dict[str, float]  # topic word → how much it says; "明月", "秋"
    prosody: Prosody | None

    @classmethod
    def load(cls, root: Path, names: str) -> Anthology:
        """Read and split the poems of `names` in `root` (see `texts.find`)."""
        training, held = texts.split(texts.poems(texts.find(root, names)))
        if not training:
            raise BadRequest(f"{root} holds too few poems: none is left to train on; give at least twenty")
        prosody = Prosody.load()
        return cls(
            training,
            held or training[:2],
            vocabulary(training, prosody),
            topic_words([p.text for p in training]),
            prosody,
        )

    def fair(self) -> list[Poem]:
        """The held-out poems that share no line with the training part; all of them where none is left."""
        return texts.apart(self.held, self.training) or self.held


def vocabulary(poems: Sequence[Poem], prosody: Prosody | None) -> Characters:
    """Controls and characters that the poems hold often enough, in the order of their code points."""
    counts = Counter(c for poem in poems for c in poem.text + clean_title(poem))
    tunes = Counter(p.tune for p in poems if p.tune)
    dynasties = Counter(p.dynasty for p in poems if p.dynasty)
    names = [f"<{form}>" for form in FORMS]
    names += [f"<{name}>" for name, count in sorted(dynasties.items()) if count >= POET_POEMS]
    names += ["<level>", "<oblique>", MASK]
    names += [f"<rhyme:{group}>" for group in (prosody.groups("平") if prosody else ())]
    names += [f"<poet:{name}>" for name in _poets(poems)]
    names += [f"<tune:{name}>" for name, count in sorted(tunes.items()) if count >= TUNE_POEMS]
    kept = sorted(c for c, count in counts.items() if count >= LEAST or len(poems) < 1000)
    return Characters(kept, names)


def _poets(poems: Sequence[Poem]) -> list[str]:
    """Those with the most poems, of Tang, of Song shi and of ci each, so that 王维 and 李清照 are not crowded out."""
    counts: dict[tuple[str, bool], Counter[str]] = {}
    for p in poems:
        if p.author not in NAMELESS:
            counts.setdefault((p.dynasty, p.form == "词"), Counter())[p.author] += 1
    found = []
    for kind in sorted(counts):
        frequent = sorted((-count, name) for name, count in counts[kind].items() if count >= POET_POEMS)
        found += [name for _, name in frequent[:POETS]]
    return list(dict.fromkeys(found))


def topic_words(documents: Sequence[str], most: int = 6000, least: int = 40) -> dict[str, float]:
    """Words of one or two characters that tell texts apart, with what a mention of each says, in bits.

    Pairs: neighbours that stand together far more often than chance (pointwise mutual information). Single characters:
    those in less than a sixth of the texts, without the empty words.
    """
    singles, pairs = texts.count_words(documents)
    least = max(2, min(least, len(documents) // 100))
    bound = texts.association(pairs, singles, sum(map(len, documents)), least)
    good = [p for p, bits in bound.items() if bits > 2.5 and not (p[0] in EMPTY and p[1] in EMPTY)]
    good.sort(key=lambda p: (-pairs[p] * bound[p], p))
    found = {p: float(np.log2(len(documents) / pairs[p])) for p in good[:most]}
    for c, count in sorted(singles.items()):
        if least <= count <= max(len(documents) / 6, 2) and c not in EMPTY:
            found[c] = float(np.log2(len(documents) / count)) / 2
    return found


def clean_title(poem: Poem) -> str:
    """The title without its number in a series, remarks in brackets and spaces; without the tune before a ci's own."""
    title = _TITLE_NOISE.sub("", poem.title)
    if poem.tune:
        title = title.removeprefix(poem.tune).strip("·・ ")
    return title[:20]


def themes_of(poem: Poem) -> list[str]:
    """The themes whose pattern the title fits or whose characters the poem holds often enough."""
    found = []
    present = set(poem.text)
    for theme, (pattern, cues, least) in THEMES.items():
        if re.search(pattern, poem.title) or sum(c in present for c in cues) >= least:
            found.append(theme)
    return found


def words_of(text: str, words: dict[str, float]) -> list[str]:
    """The topic words that occur in a text, each once."""
    found: dict[str, None] = {}
    for part in texts.segments(text):
        for i, c in enumerate(part):
            for word in (c, part[i : i + 2]):
                if word in words:
                    found[word] = None
    return list(found)


def start_of(poem: Poem, prosody: Prosody | None) -> str:
    """ "level" or "oblique", the tone of the second character, for regulated verse; "" where it is not known."""
    if prosody is None or poem.form not in REGULATED:
        return ""
    return {"平": "level", "仄": "oblique"}.get(prosody.usual_tone(poem.segments[0][1]) or "", "")


def rhyme_of(poem: Poem, prosody: Prosody | None) -> str:
    """The one level rhyme group that the even lines of regulated verse share; "" where there is none or several."""
    if prosody is None or poem.form not in REGULATED:
        return ""
    groups = prosody.shared([s[-1] for s in poem.segments[1::2]], "平")
    return next(iter(groups)) if len(groups) == 1 else ""


class Sequencer:
    """Turns a poem into a training sequence: controls dropped at random, topics drawn, long poems cut."""

    def __init__(self, anthology: Anthology, context: int) -> None:
        self.book, self.context = anthology, context

    def controls(self, poem: Poem) -> Controls:
        """Every control that the poem itself has; no topics."""
        v, prosody = self.book.vocabulary, self.book.prosody
        return Controls(
            poem.form,
            dynasty=poem.dynasty if v.has(f"<{poem.dynasty}>") else "",
            poet=poem.author if v.has(f"<poet:{poem.author}>") else "",
            tune=poem.tune if v.has(f"<tune:{poem.tune}>") else "",
            start=start_of(poem, prosody),
            rhyme=rhyme_of(poem, prosody),
            title=clean_title(poem),
        )

    def thinned(self, controls: Controls, rng: np.random.Generator) -> Controls:
        """Some of the controls, each kept or dropped by itself; one time in ten all but the form are dropped."""
        keep = rng.random(6)
        if rng.random() < 0.1:
            return Controls(controls.form)
        chances: dict[str, float] = {
            "dynasty": 0.5,
            "poet": 0.4,
            "tune": 0.9,
            "start": 0.5,
            "rhyme": 0.5,
            "title": 0.45,
        }
        dropped: dict[str, Any] = {
            name: "" for (name, chance), x in zip(chances.items(), keep, strict=True) if x >= chance
        }
        return replace(controls, **dropped)

    def topics(self, text: str, title: str, themes: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
        """None to four words: of the text and the title, and themes. Words that say more are drawn more often."""
        count = int(rng.choice(5, p=[0.22, 0.3, 0.22, 0.16, 0.1]))
        if not count:
            return ()
        words = self.book.words
        weight = {w: words[w] for w in words_of(text, words)}
        for word in words_of(title, words):
            weight[word] = weight.get(word, 0.0) + len(word) * words[word]
        total = sum(weight.values()) or 1.0
        for theme in themes:
            weight[theme] = weight.get(theme, 0.0) + 0.2 * total  # themes are few, and what people ask for
        names = list(weight)
        if not names:
            return ()
        p = np.array([weight[n] for n in names])
        chosen = rng.choice(len(names), size=min(count, len(names)), replace=False, p=p / p.sum())
        drawn = [names[i] for i in chosen]
        return tuple(w for w in drawn if not any(w != other and w in other for other in drawn))

    def sample(self, controls: Controls, lines: Sequence[str], title_weight: float = 0.2) -> Sample:
        """The sequence. The text and `<end>` count 1, the title `title_weight`, controls and unknown characters 0."""
        v = self.book.vocabulary
        before = prompt(v, controls)
        tokens = list(before)
        whole = True
        for line in lines:
            if len(tokens) + len(line) > self.context:
                whole = False
                break
            tokens += v.encode(line)
        if whole:
            tokens.append(v.id(END))
        tokens = tokens[: self.context + 1]
        weights = np.ones(len(tokens) - 1)
        weights[: len(before) - 1] = 0.0
        if controls.title:  # the title's characters, and the end of it
            weights[len(before) - 2 - len(controls.title) : len(before) - 1] = title_weight
        weights[np.array(tokens[1:]) == v.id(UNKNOWN)] = 0.0
        return Sample(tokens, weights.tolist())

    def __call__(self, number: int, rng: np.random.Generator) -> list[Sample]:
        """Training sequences of one poem: the poem, and now and then a middle couplet of a 律诗 as a couplet."""
        poem = self.book.training[number]
        controls = self.thinned(self.controls(poem), rng)
        topics = self.topics(poem.text, poem.title, themes_of(poem), rng)
        made = [self.sample(replace(controls, topics=topics), poem.lines)]
        pairs = couplets(poem)
        if pairs and rng.random() < 0.6:
            line = pairs[int(rng.integers(len(pairs)))]
            made.append(self.sample(Controls("对联", topics=self.topics(line, "", (), rng)[:2]), [line]))
        return made


def couplets(poem: Poem) -> list[str]:
    """The middle couplets of a 律诗, which are parallel: "连甍遥接汉，飞观迥凌虚。"."""
    return [line for line in poem.lines[1:3] if poem.form in ("五律", "七律") and len(texts.segments(line)) == 2]


def fixed(anthology: Anthology, poems: Sequence[Poem], context: int, controlled: bool) -> Iterator[Sample]:
    """Held-out poems as sequences whose weights are 1 at Chinese characters of the text and 0 elsewhere.

    controlled: with every control and the title of the poem before it, else with its form alone. Never with topics,
    which would tell what the poem says.
    """
    make = Sequencer(anthology, context)
    v = anthology.vocabulary
    for poem in poems:
        controls = make.controls(poem) if controlled else Controls(poem.form)
        sample = make.sample(controls, poem.lines, title_weight=0.0)
        weights = [
            w if len(texts.segments(v.token(t))) == 1 and t >= len(v.specials) else 0.0
            for w, t in zip(sample.weights, sample.tokens[1:], strict=True)
        ]
        yield Sample(sample.tokens, weights)
