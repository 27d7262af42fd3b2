"""Where English words have their stress: which syllable, and which words of one syllable hardly ever have it.

What verse has often comes from verse itself: in lines of ten, eight or six syllables poets set the stressed syllable
of a word on an even place, so that each line votes (danqing.recipes.scansion made the table). The rest follows rules of
spelling: what comes before -tion, -ic and -ity is stressed, prefixes such as be- and un- are not; and a list of what
rules miss. How often all this is right was measured against a dictionary (docs/decisions/0007).

Syllables are counted from 1, by the rules of `english`; 0 stands for words that poets set either way (into, mankind).
In verse that alternates, syllables two apart are alike: a word fits by whether its stressed syllable is odd or even.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from danqing.encode import english

# Words that no rule reaches and that verse has seldom, by their stressed syllable; most were found by measuring.
_LISTED = {
    0: "sometime",
    1: (
        "accent access acorn artist aspect comfort comforts comforting commerce concert congress contact contest "
        "convent comrade comely conjured countenance demon demons district effort efforts engine engines entry "
        "envied exile expert extra exploits incense income inland inquest insect insects instance instinct "
        "instincts interest pressure province provinces recent regent remnant rendered reptile reptiles rescue "
        "resource uproar upside uplands upright mischief accident accidents argument aperture industry injure "
        "injury infinite infant inasmuch distance distant promise promising practical literal exercise "
        "circumstance circumstances comfortable reasonable honourable elephant intellect indicate destitute "
        "opposite obstacle occupy occupied occupant excellent excellence confident conference reference residence "
        "president negligent inference difference innocent incident evidence politics reindeer programme tower "
        "purpose pretext preface presence present relic relics reason region regal under unit upper uncle union "
        "utmost envoy enter entrance ensign empty anger anguish answer admiral asia index inner inside discipline "
        "uniform uniforms universe recompense resolute remedy element colour colours coloured column college "
        "collar surgeon compass refuge innocence necessary necessarily average envelope officer officers anxious "
        "infancy prospect overcoat interview interval intervals enterprise overboard undergrowth beggar beggars "
        "mishap perfect commonly commonplace constant constantly elegant energy exquisite insolent mischievous "
        "probable property proper relative relatives requisite restless recognise recognize realize meteor "
        "hideous cautious prophecy mistress mariner lunatic compliment corridor constable conquer agency "
        "desperate diligence embassy diligent forefather infidel instrument temperature acres emblem problem "
        "problems readily finish substance absence commented contrary villain profit discord destined cometh "
        "divers company several beautiful"
    ),
    2: (
        "absurd adieu allow annoy balloon bamboo buffoon canal canoe caress cigar collect correct commence domain "
        "dragoon embark employ fatigue fifteenth fulfil frontier hotel ideal ideas indeed lagoon machine machines "
        "maintain molest morose oblige occur oppose oppress ordain parade police polite possess precise ravine "
        "salute saloon secure severe sincere southeast suffice suggest superb supply suppress sustain unite "
        "whereas withdraw withstand withhold again against betook between beyond divert diffuse arrive ajar ado "
        "ago aloof banana cathedral courageous cupola establish examine existence idea pagoda potato potatoes "
        "policeman policemen politely tobacco tomato romance romances horizon eternal umbrella december september "
        "october november majestic enormous tremendous reply apply rely deny defy replied applied relied denied "
        "defied supplied supplies replies forget forgets forgive avoid avoids forbid commit permit admit submit "
        "omit compel repel excel expel propel confer prefer refer defer infer consent assent intent event events "
        "descent ascent resent lament content extent prevent invent cement upon until unless besides beside "
        "delight delights advance enhance ahead aghast acute anew announce announced awhile hereby ignored outrun "
        "outstretched tonight toward towards undid unrolled untied grandeur perfumed endowed recoiled companion "
        "companions suspicion suspicions sufficient inherit exhibit develop deliver consider continue inhabit "
        "remember distribute contribute attribute autumnal nocturnal paternal maternal fraternal infernal "
        "impatient impatience convenience opponent formation foundation vacation adjacent apparent arisen "
        "spectator spectators stupendous preceding ingenious pavilion whichever embrace embraces triumphant "
        "farewell forever already although away below along tomorrow asunder humane mature neglect neglected "
        "uncouth upstairs especially surprise surprised surround astonish familiar capricious united opinion "
        "opinions dominion rebellious another whatever wherever whoever whenever however illusion imagine museum "
        "direct directly succeed create gigantic delicious malicious cocoon marine serene obey antique unique "
        "supreme extreme pursue review behind convince perchance anon apace beset await repent procure engage "
        "adored explored implored conceited deceitful excited invited comply complied arrest achieve achieved "
        "bestow bestowed indoors"
    ),
    3: (
        "violin understood overhead disappear afternoon introduce entertain magazine cavalier engineer volunteer "
        "altogether overcome overcame undertake undertaken undertaking overtake overtaken overthrow overlook "
        "underground correspond recommend picturesque independent horizontal universal inexplicable satisfactory "
        "supernatural everlasting thereupon ascertain"
    ),
}  # fmt: skip
_BY_WORD = {word: place for place, listed in _LISTED.items() for word in listed.split()}
_SAME = (  # endings that leave the stress of the word before them where it is: what to cut, what to put there instead
    ("'s", ""), ("ies", "y"), ("ied", "y"), ("iest", "y"), ("ier", "y"), ("ily", "y"), ("iness", "y"),
    ("s", ""), ("es", ""), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"), ("ings", ""), ("ings", "e"),
    ("ly", ""), ("ly", "le"), ("ness", ""), ("less", ""), ("ful", ""), ("fully", ""), ("er", ""), ("er", "e"),
    ("ers", ""), ("ers", "e"), ("est", ""), ("est", "e"), ("ment", ""), ("ments", ""), ("able", ""), ("able", "e"),
    ("ance", ""), ("ance", "e"), ("ish", ""), ("or", ""), ("ors", ""), ("ors", "e"), ("or", "e"), ("ship", ""),
    ("y", ""), ("ive", ""), ("ive", "e"), ("ent", ""), ("ant", ""), ("ence", ""), ("al", ""), ("al", "e"),
)  # fmt: skip
_LAST = re.compile(r"(?:[^fl]ee[sd]?|eers?|[^l]ese|ettes?|esques?|iques?|[^c]oons?|self|selves|aires?)$")
_FIRST = re.compile(
    r"^(?:every|any|some|no|home|some|there|where|ever|yester|after|any|master|fellow|moun|foun|cap|out|day|sun|bed|"
    r"for[tm]|fore|up)(?!er|ul|ard)(?=[a-z]{3})|(?:time|room|bird|[dny]light|night|[dr]noon|house|hood)s?$"
)
# endings by how many syllables the stress stands before the last one
_BEFORE = (
    (3, r"[^aeiou](?:ary|aries|arily|ories|ory|atory|ative|acy|ator|ators|ating|ated)$|[^c]ately$"),
    (1, r"(?:[tsx]ions?|cians?|[ctxg]ious(?:ly)?|[ctg]eous|[ct]ials?|gions?|ics?|[^e]mental|[^aeiou]ental|osis|astic|"
        r"(?:[cnprs]t|[nlrs]s)ive|mp[lt]ing|[aeiou][cn]tor|ish(?:ed|ing|es)|ertain)$"),
    (2, r"(?:it(?:y|ies)|et(?:y|ies)|if(?:y|ied|ies)|ic(?:al|als)|ians?|[iue]ous|[iu]als?|ients?|ien(?:ce|cy)|ia|iums?|"
        r"iors?|olog(?:y|ies)|ograph(?:y|er)|ocracy|onomy|itudes?|[aiou]lous|inous|[aeiou]rous|iate[sd]?)$"),
    (3, r"(?:ically|[iue]ously|ually|ially|inently|ulously)$"),
)  # fmt: skip
_BEFORE_RULES = tuple((back, re.compile(pattern)) for back, pattern in _BEFORE)
_PREFIX = re.compile(
    r"^(?:a(?:bs?|cc?|cq|dd?|ff?|gg?|ll?|nn|pp?|rr|ss?|sc|st|tt?|m|v|w)|be|de|re|un|dis|mis|ex|e(?=[lmrv][aeiou])|es|en|em|"
    r"in|im|com|con|col|pro|per|sur|sub|ob|opp|occ|for(?=[gbs])|to(?=[gd])|trans|sus|sup|suf|ef|off)(?=[a-z]{4})"
)
_CLOSED = re.compile("[^aeiouy]*(?:[aeiouy][^aeiouy]{2}|[aeiou]{2}|[aeiou][vdkzs][aeiou])")  # a heavy syllable
_OVER = re.compile(r"^(?:over|under|inter|intro|contra|counter|disap|recol|repre|enter|disen)(?=[a-z]{3})")
_LIGHT = re.compile(  # endings of a word of two syllables that are never its stem
    r"(?:ings?|[^aeiou]{1,2}(?:ers?|ens?|y|ies|ied|ey|le|les|led|ow|ows|on|ons|or|ors|ets?|els?|em|ems|als?|ils?|ot|om|um|us|in|ins)|[eo]red|"
    r"ened|oned|[^aeioul]led|ished|ly|ful|less|ness|[td]ed|[cgsxz]es|[cs]hes|ish|est|age|ages|ege|ics?|ours?|ars?|eon|eons|[aeiou]nces?|uge|ous|ant|ents?|ward|wards|some|"
    r"ships?|doms?|m[ae]n|lands?|side|ure|ures|ace|ice|it|id|ile|iles|wise)$"
)
_HEAVY = re.compile(  # beginnings of a word of two syllables that are hardly ever stressed
    r"^(?:a(?:bs?|cc?|cq|dd?|ff|gg|g|ll?|nn|pp|p|rr?|ss?|sc|sh|sl|sp|str?|tt|m|v|w|dv|dm|dj)(?=[aeioulr])|ab|ad[mv]|asc|be|de|re|"
    r"un|dis|di(?=[vrlm])|mis|ex|e(?=[lmrv][aeiou])|es|en|em|in|im|com|con|col|cor|pro|pre|per|sur|sub|ob|opp|occ|off|for(?=[gbs])|"
    r"to(?=[gd])|trans|sus|sup|suf|ef|equ|with|where|there|here)(?=[a-z]{3})"
)


def by_rule(word: str, known: Mapping[str, int] | None = None) -> int:
    """The stressed syllable of a word by its spelling, and by those words that are known already; at least 1."""
    word, known = word.lower().replace("’", "'"), known or {}
    count = english.word_syllables(word)
    if count == 1:
        return 1
    if word in _BY_WORD:
        return min(_BY_WORD[word], count)
    stems = _stems(word, count)
    for stem in stems:
        if place := known.get(stem) or _BY_WORD.get(stem, 0):
            return place
    if _LAST.search(word):
        return count
    if _FIRST.search(word):
        return 1
    for back, pattern in _BEFORE_RULES:
        if count > back and pattern.search(word):
            return count - back
    if count == 2:
        return 2 if _HEAVY.match(word) and not _LIGHT.search(word) else 1
    shorter = [stem for stem in stems if english.word_syllables(stem) < count]
    if shorter:
        firm = [stem for stem in shorter if not re.search("(?:er|en|on|el|ow|ish)e?$", stem)]
        return max(by_rule(stem, known) for stem in firm or shorter[:1])
    if _OVER.match(word):
        return 3
    if count == 3:
        return 2 if (found := _PREFIX.match(word)) and _CLOSED.match(word, found.end()) else 1
    return count - 2


def _stems(word: str, count: int) -> list[str]:
    """What a word may be made of, of two syllables or more."""
    found = list[str]()
    for end, instead in _SAME:
        if word.endswith(end) and len(word) > len(end) + 2:
            stem = word.removesuffix(end)
            found += [stem + instead, *([stem[:-1]] if not instead and stem[-1] == stem[-2] else [])]
    return [stem for stem in dict.fromkeys(found) if 2 <= english.word_syllables(stem) <= count]


@functools.cache
def _stored() -> Mapping[str, int]:
    """The words of the lexicon that are stressed otherwise than by rule."""
    listed: Mapping[str, str] = english.table().get("stress", {})
    return {word: int(place) for place, words in listed.items() for word in words.split()}


@functools.cache
def _lexicon() -> frozenset[str]:
    return frozenset(word for listed in english.table()["words"].values() for word in listed.split())


@functools.lru_cache(maxsize=20_000)
def place(word: str) -> int:
    """The stressed syllable of a word, from 1; 0 where poets stress either."""
    word = word.lower().replace("’", "'")
    return _stored().get(word, by_rule(word))


def is_known(word: str) -> bool:
    """Whether the lexicon has the word, or what it is the genitive of: only then is its stress more than a guess."""
    return word.lower().replace("’", "'").removesuffix("'s") in _lexicon()


def weak() -> frozenset[str]:
    """Function words of one syllable: they may have a beat, but not two of them one after the other."""
    return frozenset(english.table().get("beats", {}).get("weak", "").split())


def faint() -> frozenset[str]:
    """Those of them that hardly ever have one: the, a, my."""
    return frozenset(english.table().get("beats", {}).get("faint", "").split())
