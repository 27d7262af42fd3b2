"""The report on a piece of music as lines of a terminal, in Chinese or English."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from danqing.appraisal.counterpoint import RULES, Fault
from danqing.appraisal.literature import forms_wide
from danqing.artwork import pitches
from danqing.artwork.music import Key

if TYPE_CHECKING:
    from danqing.appraisal.music import Report

WIDTH = 16  # columns of the names
CHORDS_A_ROW = 8  # bars of chords in a row
TOLD = 12  # faults of a rule that are named one by one
_MODES_ZH = {"major": "大调", "minor": "小调"}
_CADENCES_ZH = {"authentic": "正格终止", "half": "半终止", "plagal": "变格终止", "deceptive": "阻碍终止"}
_MOODS_ZH = {"joyful": "欢快", "calm": "平静", "sad": "忧伤", "agitated": "激动"}
_FEATURES_ZH = {"mode": "调式", "tempo": "速度", "register": "音区", "density": "密度", "loudness": "力度"}


def lines(report: Report, *, chinese: bool) -> list[str]:
    """The whole page."""
    page = _Page(report, chinese)
    head = ", ".join(part for part in (report.title, report.composer) if part)
    rows: list[str] = [*([head, ""] if head else []), *page.frame(), *page.harmony(), *page.melody()]
    return [*rows, *page.rules(), *page.mood(), *page.origin()]


class _Page:
    def __init__(self, report: Report, chinese: bool) -> None:
        self.report, self.zh = report, chinese
        self.say: Callable[[str, str], str] = (lambda zh, en: zh) if chinese else (lambda zh, en: en)

    def frame(self) -> list[str]:
        report = self.report
        key = self._key(report.key)
        if report.given_key and str(report.given_key) != str(report.key):
            key += self.say(
                f"（文件标作 {self._key(report.given_key)}）", f" (the file says {self._key(report.given_key)})"
            )
        length = self.say(f"{report.bars} 小节，{report.seconds:.0f} 秒", f"{report.bars} bars, {report.seconds:.0f} s")
        rows = self._row("调", "key", key)
        if len(report.keys) > 1:
            moves = [f"{self._bar(bar)} {self._key(key)}" for bar, key in report.keys]
            rows += self._row("转调", "keys", self._list(moves))
        rows += self._row("拍号", "metre", report.metre) + self._row("长度", "length", length)
        rows += self._row(
            "速度", "tempo", self.say(f"每分钟 {report.tempo:g} 拍", f"{report.tempo:g} quarter notes a minute")
        )
        return rows + self._row(
            "曲式", "form", report.form + self.say("（每四小节一字母）", " (one letter: four bars)")
        )

    def harmony(self) -> list[str]:
        by_bar: dict[int, list[str]] = {}
        for bar, name, roman in self.report.chords:
            by_bar.setdefault(bar, []).append(f"{name} ({roman})" if len(self.report.chords) < 24 else roman)
        cells = [f"{bar}: {' '.join(names)}" for bar, names in by_bar.items()]
        rows = [self._name(self.say("和弦", "chords") if i == 0 else "") + "  ".join(cells[i : i + CHORDS_A_ROW])
                for i in range(0, len(cells), CHORDS_A_ROW)]  # fmt: skip
        ends = [
            f"{self._bar(c.bar)} {_CADENCES_ZH[c.kind] if self.zh else c.kind} ({c.chords})"
            for c in self.report.cadences
        ]
        return rows + self._row("终止式", "cadences", self._list(ends))

    def melody(self) -> list[str]:
        tune, names = self.report.melody, self._pitch
        spans = [f"{name} {names(low)}–{names(high)}" for name, low, high in self.report.parts]
        told = self.say(
            f"{tune.notes} 音，{names(tune.lowest)}–{names(tune.highest)}；级进 {tune.steps:.0%}，"
            f"跳进 {tune.leaps:.0%}，同音 {tune.repeats:.0%}；{tune.returning:.0%} 的小节重现",
            f"{tune.notes} notes, {names(tune.lowest)} to {names(tune.highest)}; steps {tune.steps:.0%}, leaps "
            f"{tune.leaps:.0%}, repeated notes {tune.repeats:.0%}; {tune.returning:.0%} of its bars come again",
        )
        rows = self._row("音域", "ranges", self._list(spans)) + self._row("旋律", "melody", told)
        if tune.longest_rest > 0:
            rest = self.say(f"最长 {tune.longest_rest:g} 拍", f"up to {tune.longest_rest:g} quarter notes")
            rows += self._row("静默", "silence", rest)
        return rows

    def rules(self) -> list[str]:
        judged = self.report.rules
        if judged is None:
            return self._row(
                "声部进行", "voice leading", self.say("不足四个单声部，未予评判", "not judged: it has not four voices")
            )
        bars = max(1, self.report.bars)
        total = self.say(
            f"{len(judged.faults)} 处违例，每小节 {len(judged.faults) / bars:.2f} 处",
            f"{len(judged.faults)} places break a rule, {len(judged.faults) / bars:.2f} in a bar",
        )
        rows = self._row("声部进行", "voice leading", total)
        for rule, (zh, en) in RULES.items():
            faults, chances = judged.broken(rule), judged.chances[rule]
            sign = "✗" if faults else "✓"
            where = self._list([self._fault(fault) for fault in faults[:TOLD]])
            more = "" if len(faults) <= TOLD else " …"
            count = f"{len(faults)}/{chances}"
            rows.append(self._name("") + f"{sign} {self.say(zh, en)} {count}" + (f": {where}{more}" if faults else ""))
        return rows

    def mood(self) -> list[str]:
        mood = self.report.mood
        why = self._list([f"{_FEATURES_ZH[k] if self.zh else k} {v:+.1f}" for k, v in mood.features.items()])
        name = _MOODS_ZH[mood.name] if self.zh else mood.name
        told = self.say(
            f"{name}：愉悦度 {mood.valence:+.2f}，激动度 {mood.arousal:+.2f}（{why}）",
            f"{name}: valence {mood.valence:+.2f}, arousal {mood.arousal:+.2f} ({why})",
        )
        return self._row("情绪", "mood", told)

    def origin(self) -> list[str]:
        if not self.report.compared:
            return []
        known = self.report.known
        if known is None:
            told = self.say(
                "没有两小节以上的旋律见于训练曲目", "no more than two bars of the melody stand in the training tunes"
            )
        else:
            told = self.say(
                f"第 {known.first}–{known.last} 小节（{known.bars:g} 小节）的旋律见于训练曲目",
                f"bars {known.first} to {known.last} of the melody ({known.bars:g} bars) stand in the training tunes",
            )
        return self._row("成句", "known passage", told)

    def _fault(self, fault: Fault) -> str:
        where = self.say(f"第 {fault.bar} 小节 {fault.beat:g} 拍", f"bar {fault.bar} beat {fault.beat:g}")
        return f"{where} {self.say(fault.zh, fault.en)}"

    def _bar(self, number: int) -> str:
        return self.say(f"第 {number} 小节", f"bar {number}")

    def _key(self, key: Key) -> str:
        return f"{key.tonic}{_MODES_ZH.get(key.mode, ' ' + key.mode)}" if self.zh else str(key)

    def _pitch(self, pitch: int) -> str:
        key = self.report.key
        fifths = pitches.signature(key.tonic, key.mode)
        step, sign, octave = pitches.spelled(pitch, fifths, minor=key.mode == "minor")
        return f"{step}{ {1: '#', -1: 'b', 0: ''}[sign] }{octave}"

    def _list(self, items: list[str]) -> str:
        return ("、" if self.zh else ", ").join(items)

    def _row(self, zh: str, en: str, value: str) -> list[str]:
        return [self._name(self.say(zh, en)) + value] if value else []

    def _name(self, name: str) -> str:
        return name + " " * (WIDTH - sum(2 if forms_wide(char) else 1 for char in name))
