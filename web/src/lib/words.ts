// What arts, their fields, choices and stages are called, in both languages. The server tells names and English help;
// Chinese help is keyed by the English sentence, so that one that changes shows up as a gap (a test looks for them).
import { SvelteMap } from "svelte/reactivity";
import type { Field } from "./api";
import { inChinese } from "./faults";
import { lang, type Both } from "./messages.svelte";
import { titleInChinese } from "./titles";

export interface ArtWords {
  title: Both;
  line: Both;
}

export const ARTS: Record<string, ArtWords> = {
  paint: { title: { en: "Paint", zh: "作画" }, line: { en: "A painting from your words", zh: "用文字画一幅画" } },
  stylize: { title: { en: "Restyle", zh: "换画风" }, line: { en: "A photo in the style of a painting", zh: "让照片有名画的笔意" } },
  write: { title: { en: "Write", zh: "作诗文" }, line: { en: "A poem, a couplet, a story, a script", zh: "诗词、对联、故事、剧本" } },
  compose: { title: { en: "Compose", zh: "作曲" }, line: { en: "New music, or your own carried on", zh: "写新曲，或续写你的曲子" } },
  sketch: { title: { en: "Sketch", zh: "草图成画" }, line: { en: "A drawing or colour layout, painted", zh: "把线稿或色稿画成画" } },
  translate: { title: { en: "Translate", zh: "转译" }, line: { en: "Photo to Monet, ukiyo-e, shanshui, or back", zh: "照片变莫奈、浮世绘、山水，或反之" } },
  suite: { title: { en: "Suite", zh: "诗画乐" }, line: { en: "One idea as poem, painting and music", zh: "一个意念，成诗、成画、成乐" } },
  restore: { title: { en: "Restore", zh: "修复" }, line: { en: "A damaged picture, made whole", zh: "修补受损的画" } },
  strokes: { title: { en: "Strokes", zh: "笔触" }, line: { en: "A picture, painted stroke by stroke", zh: "一笔一笔画出来" } },
  dream: { title: { en: "Dream", zh: "幻梦" }, line: { en: "What a network sees in your photo", zh: "网络在照片里看见的梦" } },
  appraise: { title: { en: "Appraise", zh: "品评" }, line: { en: "What a text or piece is, and why", zh: "看一篇诗文或一首曲子，并说出道理" } },
  inspire: { title: { en: "Inspire", zh: "采风" }, line: { en: "What a collection holds", zh: "一批收藏里有什么" } },
  explore: { title: { en: "Explore", zh: "探索" }, line: { en: "What a generator you trained can make", zh: "你训练的生成器能画什么" } },
  look: { title: { en: "First pass", zh: "初稿" }, line: { en: "What a drawing becomes", zh: "画稿将成的样子" } },
  train: { title: { en: "Training", zh: "训练" }, line: { en: "A model of your own", zh: "自己的模型" } },
  lesson: { title: { en: "Lesson", zh: "课堂" }, line: { en: "An experiment to watch", zh: "看得见的实验" } },
  estimate: { title: { en: "Estimate", zh: "估算" }, line: { en: "What a training run would cost", zh: "训练要花多少" } },
  evolve: { title: { en: "Evolve", zh: "演化" }, line: { en: "Rounds that move toward your taste", zh: "一轮一轮，走向你喜欢的" } },
};

export const FIELDS: Record<string, Both> = {
  photo: { en: "Photo", zh: "照片" },
  styles: { en: "Styles", zh: "画风" },
  style: { en: "Style", zh: "风格" },
  mix: { en: "Mix", zh: "配比" },
  method: { en: "Method", zh: "方法" },
  strength: { en: "Strength", zh: "力度" },
  size: { en: "Size", zh: "尺寸" },
  keep_colors: { en: "Keep the photo's colours", zh: "保留照片的颜色" },
  masks: { en: "Masks", zh: "蒙版" },
  backbone: { en: "Network", zh: "网络" },
  seed: { en: "Seed", zh: "种子" },
  prompt: { en: "What it shows", zh: "画什么" },
  count: { en: "How many", zh: "几件" },
  like: { en: "Colours from", zh: "取色于" },
  model: { en: "Model", zh: "模型" },
  drawing: { en: "Drawing", zh: "草图" },
  plain: { en: "Shapes as they are", zh: "形状照原样" },
  draft: { en: "Only a quick draft", zh: "只要速写" },
  image: { en: "Picture", zh: "图片" },
  to: { en: "To", zh: "变成" },
  form: { en: "Form", zh: "体裁" },
  topic: { en: "About", zh: "题材" },
  start: { en: "Begins with", zh: "开头" },
  acrostic: { en: "Acrostic", zh: "藏头" },
  revise: { en: "A poem to revise", zh: "要修改的诗" },
  lines: { en: "Lines to change", zh: "改哪几句" },
  language: { en: "Language", zh: "语言" },
  length: { en: "Length", zh: "长度" },
  temperature: { en: "Daring", zh: "放胆" },
  poet: { en: "In the manner of", zh: "仿诗人" },
  dynasty: { en: "Dynasty", zh: "朝代" },
  mood: { en: "Mood", zh: "情绪" },
  rhyme: { en: "Rhyme", zh: "用韵" },
  script: { en: "Characters", zh: "字形" },
  bars: { en: "Bars", zh: "小节" },
  key: { en: "Key", zh: "调" },
  metre: { en: "Metre", zh: "拍子" },
  tempo: { en: "Tempo", zh: "速度" },
  continue_: { en: "Go on with", zh: "续写" },
  harmonize: { en: "Harmonise", zh: "配和声" },
  infill: { en: "Fill in", zh: "填写" },
  bars_range: { en: "Which bars", zh: "哪几小节" },
  restyle: { en: "Restyle", zh: "换风格" },
  blend: { en: "Blend", zh: "混合" },
  chart: { en: "Chord chart", zh: "和弦谱" },
  density: { en: "Density", zh: "疏密" },
  span: { en: "Range", zh: "音域" },
  syncopation: { en: "Syncopation", zh: "切分" },
  what: { en: "What to do", zh: "做什么" },
  file: { en: "Picture", zh: "图片" },
  how_many: { en: "How many", zh: "多少" },
  seeds: { en: "Seeds", zh: "种子" },
  from_: { en: "From seed", zh: "起点种子" },
  latents: { en: "Latent files", zh: "隐向量文件" },
  truncation: { en: "Truncation", zh: "截断" },
  values: { en: "Values", zh: "取值" },
  class_: { en: "Class", zh: "类别" },
  layers: { en: "Layers", zh: "层" },
  seconds: { en: "Seconds", zh: "秒数" },
  of: { en: "Comes from", zh: "出自" },
  fps: { en: "Frames a second", zh: "每秒帧数" },
  loop: { en: "Loop", zh: "首尾相接" },
  by: { en: "Directions by", zh: "方向来自" },
  name: { en: "Name a direction", zh: "给方向取名" },
  along: { en: "Move along", zh: "沿方向移动" },
  starts: { en: "Searches at once", zh: "同时几路" },
  steps: { en: "Steps", zh: "步数" },
  files: { en: "Files", zh: "文件" },
  idea: { en: "Idea", zh: "意念" },
  text: { en: "Text", zh: "文字" },
  mask: { en: "Mask", zh: "蒙版" },
  fix: { en: "Repair", zh: "修什么" },
  upscale: { en: "Enlarge", zh: "放大" },
  strokes: { en: "Strokes", zh: "笔数" },
  brush: { en: "Brush", zh: "画笔" },
  octaves: { en: "Octaves", zh: "倍频层" },
  layer: { en: "Layer", zh: "层" },
  valence: { en: "Sorrow to joy", zh: "悲与喜" },
  arousal: { en: "Still to stirred", zh: "静与动" },
  season: { en: "Season", zh: "季节" },
  time: { en: "Time of day", zh: "时辰" },
  music: { en: "Music", zh: "音乐" },
  suite: { en: "Suite", zh: "诗画乐" },
};

/** Chinese for each field's help, by the English sentence that the request dataclass holds. */
export const HELP_ZH: Record<string, string> = {
  "the picture to paint: PNG, JPEG, WebP or TIFF": "要重画的图片：PNG、JPEG、WebP 或 TIFF",
  "a style's name (danqing models --styles) or a picture of it; repeat to mix several": "选一种画风，或给一张画作样板；选几种就混合",
  "how much each style has to say, in their order: 0.7,0.3; equally unless given": "各画风各占多少，按所选次序写：0.7,0.3；不写则均分",
  "patch: pieces of the paintings, no network; neural: slower, through a network; fast: one pass":
    "patch：用画作的碎片拼成，不用网络；neural：经网络，较慢；fast：一次成画",
  "0 keeps the photo, 1 gives the style its full say": "0 保留照片原样，1 全听画风的",
  "longer side of the result, 64 to 8192 px; 0 keeps the photo's own size": "成品长边，64 到 8192 像素；0 保持照片原尺寸",
  "take the style's brushwork and keep the photo's colours": "只取笔触，颜色仍用照片的",
  "a picture as large as the photo: white is painted, black stays photo; with one for each style, where that style goes":
    "与照片同样大的图：白处重画，黑处不动；每种画风各给一张，就各画各处",
  "the network of method neural: own ships with Danqing, vgg19 is downloaded (575 MB)": "neural 方法用的网络：own 随丹青附带，vgg19 需下载（575 MB）",
  "the same seed gives the same picture; a fresh one unless given": "同一粒种子画出同一张画；不写就换新的",
  "what it shows: 蓝色的天空，白色的云朵 or 'a quiet harbour at dusk'; a scene of its own unless given":
    "画面内容：蓝色的天空，白色的云朵，或 a quiet harbour at dusk；不写就随它画一景",
  "a style's name (danqing models --styles) or a picture of it": "选一种画风，或给一张画作样板",
  "longer side of the result, 128 to 4096 px": "成品长边，128 到 4096 像素",
  "how many, each another composition": "画几张，每张构图不同",
  "a picture whose colours it takes; without a prompt, its composition too": "借用这张图的颜色；若没写画什么，连构图也借",
  "own unless given; hf:NAME is a text-to-image model through the diffusers library (extra hub)":
    "不写就用自带的；hf:NAME 是经 diffusers 库调用的文生图模型（需装附加包 hub）",
  "colours, lines, both, or a map of regions: PNG, JPEG, WebP or TIFF": "色块、线条、两者兼有，或分区图：PNG、JPEG、WebP 或 TIFF",
  "light, season, colours and style in words: 'autumn, dusk', 黄昏": "用文字说光线、季节、颜色、风格：秋天，黄昏",
  "a style's name (danqing models --styles) or a picture": "选一种画风，或给一张画",
  "longer side of the result, 64 to 4096 px; 0 keeps the drawing's own size": "成品长边，64 到 4096 像素；0 保持草图原尺寸",
  "leave flat shapes as they are: guess no trees, no water, no sky in them": "色块照原样画，不猜哪是树、哪是水、哪是天",
  "stop after the first pass, at about 256 px: a second instead of many": "第一遍就停，约 256 像素：一秒即成",
  "the picture to translate: PNG, JPEG, WebP or TIFF": "要转译的图片：PNG、JPEG、WebP 或 TIFF",
  "monet, ukiyo-e, shanshui or photo": "莫奈、浮世绘、山水，或照片",
  "longer side of the result, 16 to 8192 px; 0 keeps the picture's own size": "成品长边，16 到 8192 像素；0 保持原尺寸",
  "五绝 七绝 五律 七律 古诗 词:浣溪沙 对联; sonnet quatrain ballad couplet haiku; verse story script; 七绝 or verse unless given":
    "五绝、七绝、五律、七律、古诗、词:浣溪沙、对联；sonnet、quatrain、ballad、couplet、haiku；verse、story、script；不写则为七绝或 verse",
  "what it is about: words, or a plot in one sentence": "写什么：几个词，或一句话的情节",
  "how it begins: an opening line, the upper line of a 对联, a story to go on with": "怎么开头：首句、对联的上联，或要续写的故事",
  "藏头: how its lines begin, one character for each: 春夏秋冬, or SEA": "藏头：每句首字，如 春夏秋冬，或 SEA",
  "a poem of yours to revise: .txt, .md or .docx": "要修改的诗稿：.txt、.md 或 .docx",
  "which lines of it, 2,4; all others stay as they are": "改第几句，如 2,4；其余不动",
  "zh or en; that of the form or the topic unless given": "中文或英文；不写则随体裁或题材",
  "how long: lines of 古诗 and verse; characters (zh) or words (en) of a story or script": "多长：古诗和 verse 按行，故事和剧本按字（中文）或词（英文）",
  "0.1 plays it safe, 1 is as varied as the model, up to 2; chosen for the form": "0.1 求稳，1 与模型所学一样多变，最大 2；不写则随体裁",
  "in the manner of a poet of the Tang or Song: 李白": "仿一位唐宋诗人：李白",
  "in the manner of 唐 or 宋 (tang, song)": "仿唐或宋",
  "joyful, sad, bold, longing, calm or lonely": "喜悦、悲伤、豪放、思念、恬淡或孤寂",
  "a rhyme book, pingshui or modern, or the group to rhyme in: 东, modern:东": "韵书：pingshui（平水韵）或 modern（中华新韵），或指定韵部：东、modern:东",
  "the characters that Chinese is written in": "用简体字还是繁体字",
  "own: the Transformer that ships; lstm: the recurrent one; a run's folder or run:NAME: one that you trained; hf:NAME: one from Hugging Face":
    "own：自带的 Transformer；lstm：循环网络；hf:NAME：Hugging Face 上的模型",
  "how many different works, up to 20": "写几件不同的，最多 20 件",
  "the same seed gives the same text; a fresh one unless given": "同一粒种子写出同样的文字；不写就换新的",
  "chorale (bach), folk, a dance: folk:jig, or piano music: mozart, haydn, beethoven, scarlatti, chopin, joplin, chopin:nocturne; pop; jazz, jazz:blues; that of the piece, or chorale, unless given":
    "chorale（众赞歌）、folk（民歌）、舞曲 folk:jig，或钢琴曲 mozart、haydn、beethoven、scarlatti、chopin、joplin、chopin:nocturne；pop（流行歌曲）；jazz（爵士独奏）、jazz:blues；不写则随原曲，或众赞歌",
  "how many bars, 2 to 64; with --continue how many more, with --blend in all, 16": "几小节，2 到 64；续写时是再写几小节，混合时是总共几小节，默认 16",
  "g-minor, Bb, d-dorian; one that suits style and mood unless given": "g-minor、Bb、d-dorian；不写则随风格与情绪选",
  "4/4, 3/4, 6/8 …; that of the style unless given": "4/4、3/4、6/8 等；不写则随风格",
  "quarter notes a minute, 20 to 300": "每分钟几个四分音符，20 到 300",
  "a piece to go on with: MIDI, MusicXML, ABC, kern": "要续写的曲子：MIDI、MusicXML、ABC、kern",
  "a melody to set for four voices": "要配成四部的旋律",
  "a piece some bars of which are written anew": "要重写其中几小节的曲子",
  "which bars --infill writes; all else stays as it is": "重写哪几小节；其余不动",
  "a piece to set in the style; its melody stays": "要换成该风格的曲子；旋律保留",
  "a new piece that goes from A to B": "从甲曲走到乙曲的新曲",
  "of a blend: fewer notes (-1) or more (1)": "混合时：音少些（-1）或多些（1）",
  "of a blend: a narrower (-1) or a wider (1) melody": "混合时：旋律窄些（-1）或宽些（1）",
  "of a blend: less (-1) or more (1) against the beat": "混合时：切分少些（-1）或多些（1）",
  'the chords of jazz and pop, "| Dm7 G7 | Cmaj7 |", or a text file of them': "爵士与流行歌曲的和弦，如“| Dm7 G7 | Cmaj7 |”，或写有和弦的文本文件",
  "0.1 plays it safe, 1 is as varied as the model, up to 2; chosen for the style": "0.1 求稳，1 与模型所学一样多变，最大 2；不写则随风格",
  "the same seed gives the same music; a fresh one unless given": "同一粒种子写出同样的音乐；不写就换新的",
  "a run's folder, a .safetensors file or the name of a shipped generator": "训练所得的文件夹、.safetensors 文件，或自带生成器的名字",
  "picture: one alone; samples: a sheet; interpolate: a video from picture to picture; mix: shapes of one with colours of another; truncate: from the average outward; project: find a given picture; directions: what changes most; edit: along them":
    "picture：单张；samples：样张；interpolate：从一图渐变到另一图的视频；mix：此图的形配彼图的色；truncate：从平均向外走；project：寻找给定的图；directions：变化最大的方向；edit：沿方向修改",
  "of a picture: the seeds that it comes from, and how much of each: 17=0.8,29=0.6": "单张画用：出自哪几粒种子、各占多少，如 17=0.8,29=0.6",
  "one of your own: a run's folder or run:NAME; the one that ships for the style unless given": "自己的模型：训练所得的文件夹或 run:名字；不写就用该风格自带的",
  "one of your own: a run's folder or run:NAME; the one that ships unless given": "自己的模型：训练所得的文件夹或 run:名字；不写就用自带的",
  "the picture that project looks for": "project 要寻找的图",
  "how many pictures, stations of a walk or directions; one for each seed, from --seed on": "几张图、几站或几个方向；从种子起每粒一张",
  "of the first picture; the same seed always gives the same picture": "第一张的种子；同一粒种子总给同一张图",
  "these pictures: 3,17,5": "指定这几张：3,17,5",
  "seed that a walk begins at": "渐变从哪粒种子起",
  "seed that a walk ends at": "渐变到哪粒种子止",
  "a latent file, before any seeds; repeat for several": "隐向量文件，排在种子之前；可给多个",
  "1 as drawn; smaller is nearer to the average": "1 为原样；越小越近平均",
  "truncations of a sweep; 0 to 1 in quarters unless given": "要排开的截断值；不写则 0 到 1，四等分",
  "of a generator with classes; samples take all in turn, everything else the first": "有类别的生成器用；样张轮流取各类，其余取第一类",
  "of a mix: the layers whose styles come from the picture above; the first half unless given": "混合时：哪些层取上图的风格；不写则取前一半",
  "from one station of a walk to the next": "从一站到下一站几秒",
  "frames a second of a walk, 1 to 50": "渐变视频每秒几帧，1 到 50",
  "a walk goes back to where it began, to be shown round and round": "渐变回到起点，可循环播放",
  "directions that change most: pca, of drawn pictures; sefa, of the weights (styles only)": "变化最大的方向：pca 取自所画的图；sefa 取自权重（仅限风格生成器）",
  "give a direction a name: 3=warmth; repeat for several": "给方向取名：3=warmth；可给多个",
  "how far to move along a direction: warmth=1.5, 3=-2; repeat for several": "沿方向走多远：warmth=1.5、3=-2；可给多个",
  "how many searches project makes at once, 1 to 32": "project 同时找几路，1 到 32",
  "how long project looks": "project 找多少步",
  "side of each picture, px; its own, or enlarged to 128 (256 in a video or alone), unless given": "每张图的边长，像素；不写则用原尺寸，或放大到 128（视频或单张 256）",
  "texts (.txt .md .docx) or music (.mid .musicxml .abc …) to judge": "要品评的文字（.txt .md .docx）或乐曲（.mid .musicxml .abc 等）",
  "the form that a text is meant to have, 七律 or 词:浣溪沙 or sonnet; found out unless given": "这篇本该是什么体裁，如 七律、词:浣溪沙、sonnet；不写就自行辨认",
  "the rhyme book: 平水韵, by which poets wrote, or today's 中华新韵": "韵书：古人所用的平水韵，或今天的中华新韵",
  "the report's language: zh or en; the text's own unless given": "品评用中文还是英文；不写则随原文",
  "what it is about, 中文 or English: 秋夜江上的孤舟, 'a quiet harbour at dusk'": "写什么，中文英文都可以：秋夜江上的孤舟，或 a quiet harbour at dusk",
  "of the poem: zh or en; that of the idea unless given": "诗用中文还是英文；不写则随意念",
  "from -1 (sorrow) to 1 (joy); read from the idea unless given": "从 -1（悲）到 1（喜）；不写则从意念里读",
  "from -1 (still) to 1 (stirred); read from the idea unless given": "从 -1（静）到 1（动）；不写则从意念里读",
  "from -1 (bare) to 1 (full); read from the idea unless given": "从 -1（疏）到 1（密）；不写则从意念里读",
  "read from the idea unless given": "不写则从意念里读",
  "of the painting: a style's name; one that suits the mood unless given": "画的风格；不选则随情绪",
  "of the music, as in compose --style; one that suits the mood unless given": "乐曲的风格，同作曲；不写则随情绪",
  "of the poem, as in write --form; one that suits the mood unless given": "诗的体裁，同作诗文；不写则随情绪",
  "longer side of the painting, 256 to 2048 px": "画的长边，256 到 2048 像素",
  "the same seed gives the same suite; a fresh one unless given": "同一粒种子做出同样的诗画乐；不写就换新的",
};

/** Choices and names that fields take, where the page can say more than the bare word. */
export const CHOICES: Record<string, Both> = {
  patch: { en: "Patches", zh: "拼贴" },
  neural: { en: "Neural", zh: "神经网络" },
  fast: { en: "Fast", zh: "快速" },
  own: { en: "Own", zh: "自带" },
  vgg19: { en: "VGG19", zh: "VGG19" },
  zh: { en: "Chinese", zh: "中文" },
  en: { en: "English", zh: "英文" },
  simplified: { en: "Simplified", zh: "简体" },
  traditional: { en: "Traditional", zh: "繁体" },
  pingshui: { en: "Pingshui rhymes", zh: "平水韵" },
  modern: { en: "Modern rhymes", zh: "中华新韵" },
  samples: { en: "Samples", zh: "样张" },
  interpolate: { en: "Walk (video)", zh: "渐变（视频）" },
  mix: { en: "Mix", zh: "混合" },
  truncate: { en: "Truncate", zh: "截断" },
  project: { en: "Project", zh: "寻找" },
  directions: { en: "Directions", zh: "方向" },
  edit: { en: "Edit", zh: "修改" },
  spring: { en: "Spring", zh: "春" },
  summer: { en: "Summer", zh: "夏" },
  autumn: { en: "Autumn", zh: "秋" },
  winter: { en: "Winter", zh: "冬" },
  dawn: { en: "Dawn", zh: "晨" },
  day: { en: "Day", zh: "昼" },
  dusk: { en: "Dusk", zh: "暮" },
  night: { en: "Night", zh: "夜" },
  pca: { en: "PCA", zh: "主成分" },
  sefa: { en: "SeFa", zh: "SeFa" },
};

/** What may be typed into a text field, offered as a list that stays open to anything else. */
export const OFFERS: Record<string, { value: string; label: Both }[]> = {
  "translate.to": [
    { value: "monet", label: { en: "Monet", zh: "莫奈" } },
    { value: "ukiyo-e", label: { en: "Ukiyo-e", zh: "浮世绘" } },
    { value: "shanshui", label: { en: "Shanshui", zh: "山水" } },
    { value: "photo", label: { en: "Photo", zh: "照片" } },
  ],
  "write.form": [
    { value: "五绝", label: { en: "五绝 five-character quatrain", zh: "五绝" } },
    { value: "七绝", label: { en: "七绝 seven-character quatrain", zh: "七绝" } },
    { value: "五律", label: { en: "五律 five-character regulated", zh: "五律" } },
    { value: "七律", label: { en: "七律 seven-character regulated", zh: "七律" } },
    { value: "古诗", label: { en: "古诗 old verse", zh: "古诗" } },
    { value: "词:浣溪沙", label: { en: "词:浣溪沙 a ci", zh: "词:浣溪沙" } },
    { value: "对联", label: { en: "对联 couplet", zh: "对联" } },
    { value: "sonnet", label: { en: "Sonnet", zh: "十四行诗" } },
    { value: "quatrain", label: { en: "Quatrain", zh: "英文四行诗" } },
    { value: "ballad", label: { en: "Ballad", zh: "英文歌谣" } },
    { value: "haiku", label: { en: "Haiku", zh: "俳句" } },
    { value: "verse", label: { en: "Free verse", zh: "自由诗" } },
    { value: "story", label: { en: "Story", zh: "故事" } },
    { value: "script", label: { en: "Script", zh: "剧本" } },
  ],
  mood: [
    { value: "joyful", label: { en: "Joyful", zh: "喜悦" } },
    { value: "sad", label: { en: "Sad", zh: "悲伤" } },
    { value: "bold", label: { en: "Bold", zh: "豪放" } },
    { value: "longing", label: { en: "Longing", zh: "思念" } },
    { value: "calm", label: { en: "Calm", zh: "恬淡" } },
    { value: "lonely", label: { en: "Lonely", zh: "孤寂" } },
  ],
  "write.dynasty": [
    { value: "唐", label: { en: "Tang 唐", zh: "唐" } },
    { value: "宋", label: { en: "Song 宋", zh: "宋" } },
  ],
  "write.rhyme": [
    { value: "pingshui", label: { en: "Pingshui rhymes", zh: "平水韵" } },
    { value: "modern", label: { en: "Modern rhymes", zh: "中华新韵" } },
  ],
  "write.model": [
    { value: "own", label: { en: "Transformer", zh: "Transformer" } },
    { value: "lstm", label: { en: "Recurrent network", zh: "循环网络" } },
  ],
  "compose.style": [
    { value: "chorale", label: { en: "Chorale, after Bach", zh: "众赞歌（巴赫）" } },
    { value: "folk", label: { en: "Folk tune", zh: "民歌" } },
    { value: "folk:reel", label: { en: "Reel", zh: "里尔舞曲" } },
    { value: "folk:jig", label: { en: "Jig", zh: "吉格舞曲" } },
    { value: "folk:waltz", label: { en: "Waltz", zh: "圆舞曲" } },
    { value: "mozart", label: { en: "Piano, after Mozart", zh: "钢琴，仿莫扎特" } },
    { value: "haydn", label: { en: "Piano, after Haydn", zh: "钢琴，仿海顿" } },
    { value: "beethoven", label: { en: "Piano, after Beethoven", zh: "钢琴，仿贝多芬" } },
    { value: "scarlatti", label: { en: "Piano, after Scarlatti", zh: "钢琴，仿斯卡拉蒂" } },
    { value: "chopin", label: { en: "Piano, after Chopin", zh: "钢琴，仿肖邦" } },
    { value: "chopin:nocturne", label: { en: "Nocturne, after Chopin", zh: "夜曲，仿肖邦" } },
    { value: "joplin", label: { en: "Rag, after Joplin", zh: "拉格泰姆，仿乔普林" } },
  ],
  "compose.metre": ["4/4", "3/4", "2/4", "6/8"].map((value) => ({ value, label: { en: value, zh: value } })),
};

/** Numbers that are good on a slider: lowest, highest, step. */
export const RANGES: Record<string, [number, number, number]> = {
  strength: [0, 1, 0.05],
  temperature: [0.1, 2, 0.05],
  density: [-1, 1, 0.1],
  span: [-1, 1, 0.1],
  syncopation: [-1, 1, 0.1],
  truncation: [0, 1, 0.05],
  valence: [-1, 1, 0.1],
  arousal: [-1, 1, 0.1],
};

OFFERS["suite.form"] = OFFERS["write.form"] ?? [];
OFFERS["suite.music"] = OFFERS["compose.style"] ?? [];

const STAGES_ZH: [RegExp, string][] = [
  [/^writing$/, "书写中"],
  [/^beginning$/, "起笔"],
  [/^drawing$/, "绘制中"],
  [/^drawing scenes$/, "起草构图"],
  [/^reading the styles$/, "读画风"],
  [/^reading$/, "读取中"],
  [/^reading (.*)$/, "读取 $1"],
  [/^denoising$/, "去噪中"],
  [/^searching$/, "寻找中"],
  [/^looking for directions$/, "寻找方向"],
  [/^making pictures$/, "出图中"],
  [/^tile (\d+) of (\d+)$/, "第 $1 块，共 $2 块"],
  [/^monet$/, "莫奈"],
  [/^ukiyo-e$/, "浮世绘"],
  [/^shanshui$/, "山水"],
  [/^photo$/, "照片"],
  [/^(\d+) px$/, "$1 像素"],
  [/^(\w+), step (\d+)(.*)$/, "$1，第 $2 步$3"],
  [/^near-copies$/, "查近似"],
  [/^layout$/, "构图"],
  [/^painting$/, "上色"],
  [/^brushwork$/, "运笔"],
  [/^saving$/, "保存中"],
  [/^loading.*$/, "装载模型"],
];

const here = (both: Both): string => both[lang.now];

/** An art's name in the language that is on. */
export function artTitle(verb: string): string {
  const words = ARTS[verb];
  return words ? here(words.title) : verb;
}

/** What an art does, in a few words. */
export function artLine(verb: string): string {
  const words = ARTS[verb];
  return words ? here(words.line) : "";
}

/** What a field is called. */
export function fieldLabel(name: string): string {
  const words = FIELDS[name];
  return words ? here(words) : name.replace(/_$/, "").replaceAll("_", " ");
}

/** What a field means, in a sentence. */
export function fieldHelp(field: Field): string {
  const plain = lang.now === "zh" ? (HELP_ZH[field.help] ?? field.help) : field.help;
  return plain.replace(" (danqing models --styles)", "").replaceAll("--", "");
}

/** What a choice is called. */
export function choiceLabel(choice: string): string {
  const words = CHOICES[choice];
  return words ? here(words) : choice;
}

/** What may be offered for a text field. */
export function offers(verb: string, name: string): { value: string; label: string }[] {
  return (OFFERS[`${verb}.${name}`] ?? OFFERS[name] ?? []).map(({ value, label }) => ({ value, label: here(label) }));
}

/** What a job is doing, in the language that is on. */
export function stageWords(stage: string): string {
  if (lang.now === "en") return stage;
  for (const [pattern, words] of STAGES_ZH) if (pattern.test(stage)) return stage.replace(pattern, words);
  return stage;
}

/** Chinese for whatever name a message of the server holds: a field, a flag of the command line, a choice, a style. */
function chinese(name: string): string {
  const field = name.replace(/^--/, "").replaceAll("-", "_").toLowerCase();
  const offered = Object.values(OFFERS).flat().find((one) => one.value === name);
  return (FIELDS[field] ?? FIELDS[`${field}_`] ?? CHOICES[name] ?? offered?.label)?.zh ?? styles.get(name) ?? name;
}

const styles = new SvelteMap<string, string>(); // their names in Chinese

/** What a style is called: in English by the name that requests take. */
export function styleLabel(name: string): string {
  return lang.now === "zh" ? (styles.get(name) ?? name) : name;
}

/** What a job is called in lists: what was asked for, its parts divided by dots. */
export function jobTitle(job: { title: string; verb: string }): string {
  const parts = job.title.split(" · ");
  return (lang.now === "zh" ? parts.map(chinese) : parts).join(" · ") || artTitle(job.verb);
}

/** Takes note of what the styles are called. */
export function nameStyles(known: { name: string; title: string | Both }[]): void {
  for (const { name, title } of known) if (typeof title !== "string") styles.set(name, title.zh);
}

/**
 * An error of the server's, to be shown: from now on its `message` is in the language that is on, and `detail` is what
 * the server said where that is another one.
 */
export function spoken<T extends { kind: string; message: string }>(problem: T): T & { readonly detail: string | null } {
  if ("detail" in problem) return problem as T & { readonly detail: string | null };
  const { kind, message } = problem;
  return Object.defineProperties(problem, {
    message: { get: () => (lang.now === "zh" ? inChinese(kind, message, chinese) : message), enumerable: true },
    detail: { get: () => (lang.now === "zh" ? message : null), enumerable: true },
  }) as T & { readonly detail: string | null };
}

/** What a work is called; what an art has named in English is put into Chinese in a Chinese page. */
export function workTitle(work: { title: string; verb: string }): string {
  if (!work.title) return artTitle(work.verb);
  return lang.now === "zh" ? titleInChinese(work.title, chinese) : work.title;
}
