import pytest

from danqing.encode import mood
from danqing.errors import BadRequest, UnknownName


@pytest.mark.parametrize(
    ("idea", "season", "time"),
    [
        ("秋夜江上的孤舟", "autumn", "night"),
        ("江南春雨", "spring", None),
        ("元宵的集市", "spring", "night"),
        ("a quiet harbour at dusk", None, "dusk"),
        ("an empty road in winter", "winter", None),
    ],
)
def test_the_season_and_the_hour_are_those_the_idea_names(idea, season, time):
    read = mood.read(idea)
    assert season in (None, read.season)
    assert time in (None, read.time)


@pytest.mark.parametrize(("sad", "glad"), [("孤舟残雨", "元宵的歌舞"), ("grief in the rain", "laughing in the garden")])
def test_sad_words_read_sadder_and_stiller_than_glad_ones(sad, glad):
    low, high = mood.read(sad), mood.read(glad)
    assert low.valence < -0.2 < 0.3 < high.valence
    assert low.arousal < high.arousal
    assert mood.music(low)["key"].endswith("minor")
    assert mood.music(high)["key"].endswith("major")
    assert mood.music(low)["tempo"] < mood.music(high)["tempo"]


def test_the_words_a_mood_was_read_from_are_told():
    heard = mood.read("孤舟，秋夜").heard
    assert "孤" in heard["valence"]
    assert heard["season"] == ("秋",)
    assert mood.read("a quiet harbour").heard["arousal"] == ("quiet",)


def test_what_a_person_sets_goes_before_what_was_read():
    changed = mood.read("元宵的集市").changed(valence=-0.9, season="winter", time=None)
    assert (changed.valence, changed.season, changed.time) == (-0.9, "winter", "night")
    assert changed.heard["valence"] == ("set by hand",)
    assert mood.music(changed)["key"].endswith("minor")


def test_a_season_set_against_the_idea_is_what_is_painted():
    from danqing.encode import scenes

    changed = mood.read("autumn river at dusk").changed(season="spring", time="dawn")
    scene = scenes.read(mood.painting("autumn river at dusk", changed, "en")["prompt"])
    assert (scene.season, scene.time) == ("spring", "dawn")


def test_every_word_added_to_a_prompt_is_one_the_painter_knows():
    from danqing.encode import scenes

    for language, idea in (("zh", "江"), ("en", "river")):
        for valence in (-1, -0.6, -0.3, 0, 0.5, 1):
            for arousal in (-1, -0.5, 0, 0.6, 1):
                for season, time in zip(mood.SEASONS, mood.TIMES, strict=True):
                    feeling = mood.Mood(valence, arousal, -0.5, season, time)
                    assert scenes.read(mood.painting(idea, feeling, language)["prompt"]).unknown == ()


def test_a_mood_outside_its_scale_is_refused_with_the_scale():
    with pytest.raises(BadRequest, match="lies between -1"):
        mood.Mood(valence=1.5)
    with pytest.raises(BadRequest, match="arousal is nan"):
        mood.Mood(arousal=float("nan"))
    with pytest.raises(UnknownName, match="Did you mean 'spring'"):
        mood.Mood(season="sprint")


def test_a_mood_is_said_in_both_languages():
    feeling = mood.Mood(-0.9, -0.9, -0.9, "winter", "night")
    assert feeling.sentence("en") == "winter, night; sorrowful, still, bare"
    assert feeling.sentence("zh") == "冬，夜；悲、静、空"
