// What the arts call their works, in Chinese: they name them in English, "Chorale in G minor". A person's words stay.

const FORMS: Record<string, string> = {
  chorale: "众赞歌", tune: "曲", song: "歌曲", piece: "小品", reel: "里尔", jig: "吉格", hornpipe: "号笛舞曲",
  "slip jig": "滑步吉格", waltz: "圆舞曲", march: "进行曲", polka: "波尔卡", strathspey: "斯特拉斯佩", air: "歌调", carol: "颂歌",
  sonata: "奏鸣曲", mazurka: "玛祖卡", polonaise: "波兰舞曲", nocturne: "夜曲", prelude: "前奏曲", etude: "练习曲",
  ballade: "叙事曲", scherzo: "谐谑曲", rag: "拉格", blues: "布鲁斯", "minor blues": "小调布鲁斯", rhythm: "节奏变化",
  cycle: "五度循环", modal: "调式", minor: "小调",
};
const MODES: Record<string, string> = {
  major: "大调", minor: "小调", ionian: "伊奥尼亚调式", dorian: "多利亚调式", phrygian: "弗里几亚调式", lydian: "利底亚调式",
  mixolydian: "混合利底亚调式", aeolian: "爱奥利亚调式", locrian: "洛克里亚调式",
};
const ALTERED: Record<string, string> = { "#": "升 ", b: "降 ", "♯": "升 ", "♭": "降 ", "": "" };

/** A work's title in Chinese; `label` names styles. One that a person gave stays as it is. */
export function titleInChinese(title: string, label: (name: string) => string): string {
  const music = /^([A-Za-z -]+?)( solo)? in ([A-G])([#b♯♭]?) ([a-z]+)$/.exec(title);
  if (music) {
    const [, form = "", solo, tonic = "", altered = "", mode = ""] = music;
    const known = FORMS[form.toLowerCase().replaceAll("-", " ")];
    if (known && MODES[mode]) return `${ALTERED[altered]}${tonic} ${MODES[mode]}${known}${solo ? "独奏" : ""}`;
  }
  if (title === "Chorale") return "众赞歌";
  const styled = /^(.+), (?:in the style of|painted in) (.+)$/.exec(title);
  if (styled) return `${styled[1]}，${(styled[2] ?? "").split(" and ").map(label).join("、")}画风`;
  return title;
}
