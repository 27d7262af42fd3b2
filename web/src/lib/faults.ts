// What goes wrong, in Chinese. The server tells it in English, composed where it happens: what was given, what is allowed,
// what to do. Each pattern here is one way in which it composes; what none of them knows is told by its kind. Either way
// the English stays at hand as the detail. A test provokes what a person can provoke and finds all of it in Chinese.

/** What a field, a choice or a style is called in Chinese. */
export type Label = (name: string) => string;

type Say = (found: string[], label: Label) => string;

/** What a name in "X 'Y' is not known" stands for. */
const NAMED: Record<string, string> = {
  style: "风格", form: "体裁", mood: "情绪", tune: "词牌", poet: "诗人", model: "模型", generator: "生成器", recipe: "训练方案",
  run: "训练", lesson: "课", art: "做法", target: "目标", mode: "调式", class: "类别", direction: "方向", session: "演化",
};
const GONE: Record<string, string> = { work: "这件作品", job: "这项任务", upload: "这个上传的文件", file: "这个文件", page: "这一页", preview: "这张预览", sheet: "这张样张" };
const STATES: Record<string, string> = { queued: "还在排队", running: "正在进行", done: "已经完成", failed: "已经失败", cancelled: "已经停止" };
const MEDIA: Record<string, string> = { picture: "图片", text: "文字", music: "乐曲", video: "视频" };
const WANTED: Record<string, string> = { text: "文字", "a whole number": "整数", "a number": "数字", "true or false": "是或否", "a list": "一列值" };

const base = (path: string): string => path.replace(/^.*[\\/]/, "");
const listed = (names: string, label: Label): string => names.split(/, | or /).map(label).join("、");
const bare = (value: string): string => (/^['"](.*)['"]$/.exec(value)?.[1] ?? value) || "空";

const SENTENCES: [RegExp, Say][] = [
  // names
  [/^(work|job|upload|file|page|preview|sheet) ['"](.*)['"] is not known\./, ([, kind]) => `找不到${GONE[kind ?? ""]}，也许已被移走或删除。`],
  [/^kind of (\S+) '(.+?)' is not known\.(?: Did you mean '(.+?)'\?)?/, ([, , given, near], label) => `没有叫“${given}”的曲类。${near ? `是不是“${label(near)}”（${near}）？` : ""}`],
  [
    /^(\w+) ['"](.*?)['"] is not known\.(?: Did you mean '(.+?)'\?)?/,
    ([, kind = "", given, near], label) => `没有叫“${given}”的${NAMED[kind] ?? "名字"}。${near ? `是不是“${label(near) === near ? near : `${label(near)}（${near}）`}”？` : ""}`,
  ],
  // fields
  [/^(\w+) has no field '(.+?)'/, ([, , field]) => `这里没有“${field}”这一项。`],
  [/^(\w+) needs (?:--)?([\w-]+)/, ([, , field = ""], label) => `还缺“${label(field)}”。`],
  [/^(?:--)?([\w-]+) is (.+); it lies above 0 \(safe\) and up to (\S+)/, ([, field = "", value, high], label) => `“${label(field)}”写的是 ${value}，应大于 0（求稳），不超过 ${high}（放胆）。`],
  [
    /^(?:--)?([\w-]+) is (.+?); (?:for this form )?it lies between (\S+)(?: \([^)]*\))? and ([\d,.:/-]+\d|\d)/,
    ([, field = "", value = "", low, high], label) => `“${label(field)}”写的是 ${bare(value)}，应在 ${low} 到 ${high} 之间。`,
  ],
  [/^(?:--)?([\w-]+) is (.+?); (?:with this style )?it is one of (.+)$/, ([, field = "", value = "", known = ""], label) => `“${label(field)}”写的是 ${bare(value)}，只能是：${listed(known, label)}。`],
  [/^(?:--)?([\w-]+) is (.+?); it is (text|a whole number|a number|true or false|a list)$/, ([, field = "", value = "", kind = ""], label) => `“${label(field)}”写的是 ${bare(value)}，这里要的是${WANTED[kind]}。`],
  [/^(?:--)?([\w-]+) is (.+?); (?:a file is|it is a style's name)/, ([, field = ""], label) => `“${label(field)}”要选一个上传的文件，或画廊里的一件作品。`],
  [/^(?:--)?([\w-]+) has (\d+) values; it takes (\d+)/, ([, field = "", given, wanted], label) => `“${label(field)}”给了 ${given} 个，要的是 ${wanted} 个。`],
  [/^--([\w-]+) is empty; give it words/, ([, field = ""], label) => `“${label(field)}”是空的：写上几个字，或干脆不填。`],
  [/^--([\w-]+) has ([\d,]+) characters; up to ([\d,]+)/, ([, field = "", given, most], label) => `“${label(field)}”有 ${given} 个字，最多读 ${most} 个，请写短些。`],
  [/^the (prompt|idea|text) has ([\d,]+) characters; (?:up to )?([\d,]+)/, ([, field = "", given, most], label) => `“${label(field)}”有 ${given} 个字，最多读 ${most} 个，请写短些。`],
  [/^the (prompt|idea) is empty/, ([, field = ""], label) => `“${label(field)}”是空的：写上几个字吧。`],
  [/^none of these words is known to the painter: '(.*?)'\./, ([, words]) => `“${words}”里没有画师认得的词。它认得地方、景物、光线、天气、季节、颜色和画风：山、湖、黄昏、雪、蓝色……`],
  [/^--([\w-]+) holds (.+?) \((.+?)\); Danqing writes and reads/, ([, field = ""], label) => `“${label(field)}”里有别的文字；这里只读写中文和英文。`],
  [/^--([\w-]+) holds (.+?), which the poet has never seen/, ([, field = "", chars], label) => `“${label(field)}”里的“${chars}”诗人没有见过，请绕开它。`],
  [/^--topic '(.*)' is English and the poem is Chinese/, ([, topic]) => `题材“${topic}”是英文，而要写的是中文诗：请用中文写题材，或把语言选成英文。`],
  [/^--form (\S+) is (Chinese|English) and --language is/, ([, form, own]) => `“${form}”是${own === "Chinese" ? "中文" : "英文"}体裁，与所选的语言不合：去掉其中一项。`],
  [/^--form 词 names no tune/, () => "只写了“词”，没有写词牌：例如 词:浣溪沙。"],
  [/acrostic has (\d+) (?:characters|letters) and (?:a )?(.+?) (\d+) lines/, ([, given, form, lines]) => `藏头有 ${given} 个字，而${form}只有 ${lines} 句：每句至多藏一个，请写短些，或换一种更长的体裁。`],
  [/^--([\w-]+) and --form (\S+) contradict/, ([, field = "", form], label) => `“${label(field)}”与体裁“${form}”合不到一起，去掉其中一项。`],
  [/^--start begins with (.+?) and --acrostic with (.+?);/, ([, first, given]) => `开头的第一个字是“${first}”，藏头的却是“${given}”：去掉其中一项。`],
  [/^--([\w-]+) is (.+?) and --([\w-]+) (?:has its own|.*)?; leave one of them out/, ([, one = "", , other = ""], label) => `“${label(one)}”与“${label(other)}”合不到一起，去掉其中一项。`],
  [/^--([\w-]+) (\S+) and --([\w-]+) (\S+) contradict/, ([, one = "", , other = ""], label) => `“${label(one)}”与“${label(other)}”合不到一起，去掉其中一项。`],
  [/^--([\w-]+) (?:goes|does not go) with (.+?)[,;] ?/, ([, field = ""], label) => `“${label(field)}”与现在所选的其他项合不到一起，去掉其中一项。`],
  [/^--([\w-]+) was given with (\S+);/, ([, field = "", style = ""], label) => `“${label(field)}”与“${label(style)}”合不到一起。`],
  [/^--backbone vgg19 goes with/, () => "VGG19 网络只配神经网络方法。"],
  [/^backbone 'vgg19' is not here/, () => "这台机器上没有 VGG19 网络，画室也不会去下载；请选“自带”。"],
  [/^model '(.+?)' would be fetched from elsewhere/, ([, model]) => `模型“${model}”要从外面下载，而画室什么都不往外发：这一项请不要填。`],
  [/^the model '(.+?)' is not in this installation/, ([, model]) => `这里没有装模型“${model}”。`],
  [/^the weights of '(.+?)' are missing/, ([, model]) => `模型“${model}”的权重文件不见了，请重新安装丹青。`],
  [/^no style was given/, () => "还没有选画风：至少选一种。"],
  [/^--mix has (\d+) numbers for (\d+) styles/, ([, given, styles]) => `配比写了 ${given} 个数，画风却有 ${styles} 种：每种各写一个。`],
  [/^--mix is (.+?);/, ([, given]) => `配比写的是 ${given}；每个数都不小于 0，至少一个大于 0。`],
  [/^(\d+) masks for (\d+) styles/, ([, masks, styles]) => `给了 ${masks} 张蒙版、${styles} 种画风：要么一张蒙版，要么每种画风各一张。`],
  [/^no file was given/, () => "还没有选文件：请选一篇文字或一首曲子。"],
  [/^--(\S+) is for texts and (.+?) is music/, ([, field = "", name], label) => `“${label(field)}”是给文字用的，而 ${name} 是乐曲：去掉其中一个。`],
  [/^--infill was given without --bars-range/, () => "还要说明重写哪几小节，例如 5:8。"],
  [/^--bars-range says which bars --infill/, () => "写了要重写哪几小节，却没有给曲子。"],
  [/^--bars-range is (\d+):(\d+) and the piece has (\d+) bars/, ([, first, last, bars]) => `要重写第 ${first} 到 ${last} 小节，而曲子只有 ${bars} 小节。`],
  [/^--bars-range is (.+?)[;,]/, ([, given = ""]) => `“哪几小节”写的是 ${bare(given)}；应写首尾两小节，从 1 数起，例如 5:8。`],
  [/^--key is '(.*?)'/, ([, given]) => `“${given}”不是一个调；写成 g-minor、Bb、d-dorian 这样。`],
  [/^(\S+) and (\S+) are two things to do/, () => "一次只做一件：续写、配和声、填写、换风格、混合之中选一样。"],
  [/^the piece holds drums only/, () => "这首曲子只有打击乐，没有音高；请换一首。"],
  [/^the piece has ([\d,]+) bars; up to (\d+)/, ([, bars, most]) => `这首曲子有 ${bars} 小节，一次至多处理 ${most} 小节，请先截短。`],
  [/^the piece has (\d+) parts and up to (\d+) notes at once/, () => "这首曲子声部太多，至多处理四个声部；请减少声部，或只取旋律。"],
  [/^--lines names line (\d+) and .+ has (\d+)/, ([, line, count]) => `要改第 ${line} 句，而这首诗只有 ${count} 句。`],
  [/breaks no rule of (.+?); say which lines/, ([, form]) => `这首诗没有违${form}的格律；请说明要改哪几句。`],
  [/^--lines says which lines of --revise/, () => "写了要改哪几句，却没有给诗稿。"],
  [/^--([\w-]+) moves a blend, and no/, ([, field = ""], label) => `“${label(field)}”只用于混合：请给两首曲子。`],
  [/is English; --revise works on Chinese poems|^--revise works on Chinese poems/, () => "修改只用于中文诗。"],
  // files
  [/^(.+?) is empty \(0 bytes\)/, ([, path = ""]) => `${base(path)} 是空文件。`],
  [/^(.+?) is nothing that is read here/, ([, path = ""]) => `${base(path)} 不是这里能读的文件。图片可用 PNG、JPEG、WebP、TIFF；乐曲可用 MIDI、MusicXML、ABC、kern；文字可用 .txt、.md、.docx。`],
  [/^(.+?) is [\d,]+×[\d,]+ px, ([\d,]+) megapixels; at most ([\d,]+)/, ([, path = "", given, most]) => `${base(path)} 有 ${given} 百万像素，最多读 ${most} 百万；请先缩小。`],
  [/^(.+?) is ([\d,]+×[\d,]+) px; a side is at most ([\d,]+) px/, ([, path = "", given, most]) => `${base(path)} 是 ${given} 像素，每边至多 ${most} 像素；请先缩小。`],
  [/^(.+?) is ([\d,]+×[\d,]+) px; an? [\w' ]+ has ([\d,]+) px a side or more/, ([, path = "", given, least]) => `${base(path)} 只有 ${given} 像素，每边至少要 ${least} 像素。`],
  [/^(.+?) is ([\d,]+×[\d,]+) px; at --size/, ([, path = "", given]) => `${base(path)} 是 ${given} 像素，太狭长：请裁剪，或把尺寸调大。`],
  [/^mask (.+?) is ([\d,]+×[\d,]+) px and (.+?) ([\d,]+×[\d,]+) px/, ([, , mask, , photo]) => `蒙版是 ${mask} 像素，照片是 ${photo} 像素；两者应一样大。`],
  [/--size 0 keeps that/, () => "这张图太大，不能保持原尺寸：请写一个尺寸。"],
  [/^(.+?) is animated/, ([, path = ""]) => `${base(path)} 是动图；请存一帧为图片再用。`],
  [/^(.+?) is named as (\w+) but holds (\w+)/, ([, path = "", named, held]) => `${base(path)} 名为 ${named}，里面却是 ${held}；若无误，请改后缀名。`],
  [/^(.+?) ends (?:early, )?after .+: the file is damaged|^(.+?) is (?:a )?damaged/, ([, one, other]) => `${base(one ?? other ?? "")} 已损坏，读不出来。`],
  [/^(.+?) (?:takes more than \d+ s to read|cannot be read within)/, ([, path = ""]) => `${base(path)} 太大或已损坏，读不出来。`],
  [/^(.+?) is no ZIP that can be unpacked/, ([, path = ""]) => `${base(path)} 不是能解开的 ZIP。`],
  [/^(.+?) (?:unpacks to more than|holds [\d,]+ files; a collection)/, ([, path = ""]) => `${base(path)} 里的东西太多太大，请分成几份。`],
  [/^(.+?) holds nothing to learn from/, ([, path = ""]) => `${base(path)} 里没有可用的图片、乐曲或文字。`],
  [/^(.+?) (?:holds no notes|holds no score|is no score|is XML but no)/, ([, path = ""]) => `${base(path)} 不是能读的乐谱。`],
  [/^(.+?) (?:is no text|holds no text|holds nothing but blanks|is a ZIP archive, not a text)/, ([, path = ""]) => `${base(path)} 里没有能读的文字。`],
  [/^(.+?) is no poem/, ([, path = ""]) => `${base(path)} 不像一首诗。`],
  [/^(.+?) (?:is not there; check|may not be read|cannot be read)/, ([, path = ""]) => `${base(path)} 读不到了。`],
  [/^the file is larger than (.+?), the most/, ([, most]) => `文件太大：这类文件至多 ${most}。`],
  [/^a request has at most/, () => "一次发来的内容太多；文件请用上传。"],
  [/^(.+?) (?:PNG, JPEG, WebP and TIFF are read)/, () => "不是能读的图片；可用 PNG、JPEG、WebP、TIFF。"],
  [/; PNG, JPEG, WebP and TIFF are read$/, () => "不是能读的图片；可用 PNG、JPEG、WebP、TIFF。"],
  // jobs and works
  [/^job \w+ is (\w+)( already)?; (only one that waits or runs|one that has failed|cancel it before|only those that wait)/, ([, state = ""]) => `这项任务${STATES[state] ?? ""}，现在不能这样做。`],
  [/^job \w+ has shown nothing yet/, () => "这项任务还没有可看的画面。"],
  [/^([\d,]+) jobs wait already/, ([, count]) => `已有 ${count} 项任务在排队，不能再多了；请先撤掉一些。`],
  [/^rating is (.+?);/, () => "星级是 0 到 5 的整数。"],
  [/^tag (.+) is none; a tag is 1 to (\d+)/, ([, , most]) => `标签要写在一行里，1 到 ${most} 个字。`],
  [/^(\d+) tags were given; a work has up to (\d+)/, ([, , most]) => `一件作品至多 ${most} 个标签。`],
  [/^([\d,]+) works were named; 1 to ([\d,]+)/, ([, , most]) => `一次可导出 1 到 ${most} 件作品。`],
  [/^format is (.+?); a (\w+) can be had as (.+)$/, ([, given = "", media = "", known = ""]) => `没有 ${bare(given)} 格式；${MEDIA[media] ?? media}可存为 ${known.replaceAll(", ", "、")}。`],
  [/^there is no suite/, () => "这组诗画乐已不在了，请重新做一组。"],
  [/^(\d+) of (\d+) .* could be made: every other draw/, ([, made, wanted]) => `${wanted} 件里只做成 ${made} 件：其余的与学过的曲子太像。可换一粒种子再试。`],
  [/^run '(.+?)' is there already/, ([, run]) => `已有叫“${run}”的训练：接着训练，或换个名字。`],
  [/^no room of this studio does/, () => "这间画室已不会做这件事了。"],
  // the machine
  [/ended twice without a word/, () => "做这件活的进程两次突然中断，多半是内存不够；请把尺寸调小些再试。"],
  [/there is not memory enough|too large for memory|more memory than there is/, () => "内存不够，请把尺寸调小些再试。"],
  [/disk is full|No space left|disk I\/O/, () => "磁盘满了或出了故障，没有写下任何东西；请腾出空间再试。"],
  [/this machine reaches nothing|the studio sends nothing out/, () => "画室不与外界相连，而这件事要连到别处。"],
];

/** What is said where no sentence fits: one for every kind of error that the server knows. */
export const KINDS: Record<string, string> = {
  BadRequest: "这样的要求做不到。",
  UnknownName: "没有这个名字。",
  InvalidMedia: "这个文件读不出来：它已损坏，或不是能读的格式。",
  OutputExists: "那里已经有一份了。",
  NotWritable: "写不进去：没有权限，或文件已损坏。",
  WriteFailed: "磁盘满了或出了故障，没有写下任何东西。",
  Unavailable: "现在做不到：这台机器上缺少所需的东西，或时机不对。",
  CorruptWeights: "模型的权重文件已损坏，请重新安装丹青。",
  BadCard: "模型的说明卡有误，请重新安装丹青。",
  TrainingFailed: "训练自行停止了。",
  Cancelled: "已停止，什么也没有写下。",
  Lost: "这项任务已交给别人做。",
  DanqingError: "没能做成。",
  WorkerDied: "做这件活的进程突然中断了。",
  MemoryError: "内存不够，请把尺寸调小些再试。",
  NotFound: "这里没有这样东西。",
  NotAllowed: "这里不能这样做。",
  TooLarge: "太大了。",
  Unauthorized: "要凭口令进入：请用启动时显示的完整网址打开。",
  ForbiddenHost: "请用启动时显示的网址打开画室。",
  ForbiddenOrigin: "别的网页不能使用这间画室。",
  Unreachable: "画室的服务器没有回应；它还开着吗？",
  Http: "服务器的回答看不懂。",
};

const OTHER = "出了意外，没能做成；经过记在 studio.log 里。";

/** An error's sentence in Chinese; `label` names fields and choices. */
export function inChinese(kind: string, message: string, label: Label): string {
  for (const [pattern, say] of SENTENCES) {
    const found = pattern.exec(message);
    if (found) return say([...found], label);
  }
  return KINDS[kind] ?? OTHER;
}
