"""Music in the studio: what can be composed, and the notes of a work as a piano roll and a cursor need them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from danqing.arts.compose import ALIASES, LEAST_BARS, MOODS, MOST_BARS, STYLES, styles_of
from danqing.arts.write import MOODS_ZH
from danqing.artwork import scores
from danqing.artwork.music import Score
from danqing.artwork.pitches import TONICS
from danqing.catalog import own
from danqing.catalog.catalog import cards
from danqing.errors import BadRequest
from danqing.interfaces.rooms import Studio, studio

router = APIRouter(tags=["music"])

TITLES = {  # style → English, 中文, what it is in both
    "chorale": ("Chorale", "众赞歌", "four voices, after Bach", "四声部，仿巴赫"),
    "folk": (
        "Folk tune",
        "民间舞曲",
        "one melody with chords: jigs, reels, waltzes",
        "单旋律配和弦：吉格、里尔、华尔兹",
    ),
    "mozart": ("Mozart", "莫扎特", "piano, clear and balanced", "钢琴，明朗匀称"),
    "haydn": ("Haydn", "海顿", "piano, witty and sudden", "钢琴，机智多变"),
    "beethoven": ("Beethoven", "贝多芬", "piano, driving", "钢琴，激昂有力"),
    "scarlatti": ("Scarlatti", "斯卡拉蒂", "keyboard, bright and dry", "键盘，清脆明亮"),
    "chopin": ("Chopin", "肖邦", "piano, singing and ornate", "钢琴，如歌而华丽"),
    "joplin": ("Joplin", "乔普林", "ragtime", "拉格泰姆"),
    "pop": ("Pop song", "流行歌曲", "melody, bridge and piano over chords", "和弦之上的旋律、对位与钢琴"),
    "jazz": ("Jazz", "爵士", "a solo over a chord chart, with bass and piano", "和弦谱上的独奏，配贝斯与钢琴"),
}
NEEDED = ("pop", "jazz")  # models of their styles' names that need not be in every installation
KINDS_ZH = {
    "reel": "里尔", "jig": "吉格", "hornpipe": "号笛舞曲", "slip-jig": "滑步吉格", "waltz": "圆舞曲", "march": "进行曲",
    "polka": "波尔卡", "strathspey": "斯特拉斯佩", "air": "歌调", "carol": "颂歌", "sonata": "奏鸣曲",
    "mazurka": "玛祖卡", "polonaise": "波兰舞曲", "nocturne": "夜曲", "prelude": "前奏曲", "etude": "练习曲",
    "ballade": "叙事曲", "scherzo": "谐谑曲", "rag": "拉格",
    "blues": "布鲁斯", "minor-blues": "小调布鲁斯", "rhythm": "节奏变化", "cycle": "五度循环", "modal": "调式",
    "minor": "小调",
}  # fmt: skip
MODES_ZH = {
    "major": "大调", "minor": "小调", "ionian": "伊奥尼亚", "dorian": "多利亚", "phrygian": "弗里几亚",
    "lydian": "利底亚", "mixolydian": "混合利底亚", "aeolian": "爱奥利亚", "locrian": "洛克里亚",
}  # fmt: skip
PARTS_ZH = {
    "soprano": "女高音", "alto": "女低音", "tenor": "男高音", "bass": "男低音", "melody": "旋律", "chords": "和弦",
    "right hand": "右手", "left hand": "左手", "piano": "钢琴", "accompaniment": "伴奏",
}  # fmt: skip
KEPT = 24  # works whose notes are held ready


@router.get("/music/styles")
def styles(here: Annotated[Studio, Depends(studio)]) -> dict[str, Any]:
    """Every style with its kinds, keys, metres, models and what can be done in it; titles in both languages."""
    found = []
    shipped = {card.name for card in cards()}
    mine = [(one.name, styles_of(one.places[0])) for one in own.listed(here.home) if one.art == "compose"]
    for name, style in STYLES.items():
        models = [model for model, able in mine if name in able]
        ships = style.module not in NEEDED or style.module in shipped
        if not ships and not models:
            continue
        en, zh, about_en, about_zh = TITLES.get(name, (name.capitalize(), name, "", ""))
        kinds = [
            {"name": kind, "title": {"en": kind, "zh": KINDS_ZH.get(kind, kind)}, "metres": list(metres)}
            for kind, metres in style.kinds.items()
        ]
        found.append(
            {
                "name": name,
                "title": {"en": en, "zh": zh},
                "about": {"en": about_en, "zh": about_zh},
                "kinds": kinds,
                "modes": [{"name": m, "title": {"en": m, "zh": MODES_ZH.get(m, m)}} for m in style.modes],
                "metres": list(style.metres),
                "tasks": list(style.tasks),
                "models": {"ships": ships, "own": models},
            }
        )
    moods = [{"name": n, "title": {"en": n, "zh": next(z for z, e in MOODS_ZH.items() if e == n)}} for n in MOODS]
    return {
        "styles": found,
        "moods": moods,
        "tonics": list(TONICS),
        "bars": {"least": LEAST_BARS, "most": MOST_BARS},
        "aliases": dict(ALIASES),
    }


@router.get("/works/{name}/notes")
def notes(name: str, here: Annotated[Studio, Depends(studio)]) -> dict[str, Any]:
    """The notes of a work of music in seconds: [onset, duration, pitch, part, velocity], its bars and parts.

    `bars` has the start of every bar and, last, the end of the final one; bar numbers are as `compose --bars-range` has
    them, a pickup is bar 0. Raises UnknownName where there is no such work, BadRequest where it is no music.
    """
    work = here.shelf.get(name)
    if work.media != "music":
        raise BadRequest(f"work {work.id} is a {work.media}; notes are there for music only")
    return _told(work.path, work.sha256)


@lru_cache(maxsize=KEPT)
def _told(path: Path, _digest: str) -> dict[str, Any]:
    return told(scores.read(path))


def told(score: Score) -> dict[str, Any]:
    """A score as the page takes it."""
    bars = [round(score.seconds(start), 4) for start in score.bars()]
    found = []
    for note in score.notes:
        onset, end = score.seconds(note.onset), score.seconds(note.end)
        found.append([round(onset, 4), round(end - onset, 4), note.pitch, note.part, note.velocity])
    key, meter = score.key_at(score.pickup), score.meter_at(score.pickup)
    parts = []
    for number, part in enumerate(score.parts):
        title = part.name or f"part {number + 1}"
        zh = PARTS_ZH.get(title.casefold(), title if part.name else f"声部 {number + 1}")
        parts.append(
            {"name": part.name, "title": {"en": title, "zh": zh}, "program": part.program, "drums": part.drums}
        )
    return {
        "title": score.title,
        "duration_s": round(score.seconds(score.length), 4),
        "tempo_bpm": score.tempos[0].bpm if score.tempos else 120.0,
        "key": {"tonic": key.tonic, "mode": key.mode} if key else None,
        "metre": f"{meter.beats}/{meter.unit}",
        "bars": bars,
        "pickup": bool(score.pickup),
        "parts": parts,
        "notes": found,
    }
