"""Checks of a text against its source: a clean pair has no finding, each fault its own."""

import time

import pytest

from annotation.text.checks import check, looks_complete
from annotation.text.checks.terms import term_findings

CLEAN = [
    ("en", "ja", "Could we have a quieter room, number 3?", "静かなお部屋、3番をお願いできますでしょうか。"),
    ("en", "ja", "Breakfast is served from 7:00 to 10:30.", "朝食は七時から10時30分までです。"),
    ("en", "ja", "Breakfast from 7:00 on the 2nd floor.", "朝食は2階で7:00からです。"),
    ("en", "ja", "Breakfast is at 7:00.", "朝食は7時です。"),
    ("en", "ja", "The deposit is $1,000.50 for 12 nights!", "保証金は12泊で1,000.50ドルです。"),
    ("en", "ja", "Check-in is at 3 p.m. on 2024/05/03.", "チェックインは２０２４年５月３日の15時です。"),
    ("en", "ja", "More than 2 million guests (2023) came.", "200万人以上のお客様（2023年）がいらっしゃいました。"),
    ("en", "ja", "We have 25 rooms, and 120 beds.", "客室は二十五室、ベッドは百二十台ございます。"),
    ("en", "ja", "Dear {name}, see https://example.org/a?b=1.", "{name}様、https://example.org/a?b=1をご覧ください。"),
    ("en", "ja", "Open 24/7.", "年中無休です。"),
    ("en", "ja", "“Thank you for your stay,” she said.", "「ご宿泊ありがとうございます」と彼女は言いました。"),
    ("en", "ja", "Press <b>Enter</b> & wait", "<b>Enter</b>を押してお待ちください"),
    ("ja", "en", "部屋は静かでしたか。", "Was the room quiet?"),
    ("ja", "en", "１２００円の朝食が３つ付きます。", "Three breakfasts of 1,200 yen are included."),
    ("ja", "en", "午後３時にお待ちしております！", "We look forward to seeing you at 15:00."),
    ("ja", "en", "売上は1.5億円でした。", "Sales were 150 million yen."),
    ("en", "de", "The room costs 1,250.75 euros.", "Das Zimmer kostet 1.250,75 Euro."),
    ("en", "de", "Is breakfast included (2 persons)?", "Ist das Frühstück (zwei Personen) inbegriffen?"),
    ("en", "fr", "Is it far: 10 km?", "Est-ce loin : 10 km ?"),
    ("en", "ar", "Where is the station?", "أين المحطة؟"),
    ("en", "th", "The room is quiet.", "ห้องนี้เงียบ"),
    ("en", "zh", "The pool opens at 8 o'clock.", "游泳池八点开放。"),
    ("en", "de", "OK", "OK"),
    ("en", "ja", "Thanks :)", "ありがとう :)"),
    ("en", "ja", "1) Towels\n2) Soap", "1) タオル\n2) せっけん"),
    ("en", "ja", "%s guests and %(count)d rooms", "お客様%s名、%(count)d室"),
]
FAULTY = [
    ("en", "ja", "It costs 1,200 yen for two.", "お二人で1,300円です。", "number"),
    ("ja", "en", "１２時に来てください。", "Please come at 11.", "number"),
    ("en", "ja", "Dear {name}, welcome.", "{nane}様、ようこそ。", "placeholder.missing"),
    ("en", "ja", "Welcome, dear guest.", "{name}様、ようこそ。", "placeholder.extra"),
    ("en", "ja", "Mail us at a@example.org.", "b@example.orgまでメールをください。", "placeholder.missing"),
    ("en", "ja", "The room is quiet.", "部屋は静かです", "end.missing"),
    ("en", "ja", "Quiet room", "静かな部屋。", "end.extra"),
    ("en", "ja", "The room is quiet.", "部屋は静かです.", "end.script"),
    ("ja", "en", "部屋は静かです。", "The room is quiet。", "end.script"),
    ("en", "de", "Is the room quiet?", "Das Zimmer ist ruhig.", "end.question"),
    ("en", "de", "The room is quiet.", "Ist das Zimmer ruhig?", "end.statement"),
    ("en", "de", "The room is quiet and has a view.", "Das Zimmer " + "ist sehr " * 12 + "ruhig.", "long"),
    ("en", "de", "The room is quiet and has a wide view of the sea and the hills.", "Ruhig.", "short"),
    ("en", "ja", "The room is quiet.", "The room is quiet.", "untranslated"),
    ("en", "ja", "The room is quiet.", "部屋は  静かです。", "spaces"),
    ("en", "ja", "The room (no. A) is quiet.", "部屋（Aは静かです。", "brackets"),
]


# Source, target, and the warnings as names with the text they are about.
WHILE_WRITING = [
    ("en", "ja", "The fee is 24,000 yen.", "料金は2万4千円です。", []),
    ("en", "ja", "It cost 120 million yen.", "1億2000万円かかりました。", []),
    ("en", "ar", "It takes 15 minutes.", "يستغرق ١٥ دقيقة.", []),
    ("en", "ja", "We open at 12 a.m.", "0時に開きます。", []),
    ("en", "el", "Where is it?", "Πού είναι;", []),
    ("en", "ja", "Add 2.5 kg of flour.", "小麦粉を25kg加えます。", [("number", "2.5")]),
    ("en", "ja", "It costs 10 million yen.", "10円です。", [("number", "10 million")]),
    ("en", "ja", "Hello %@!", "こんにちは！", [("placeholder.missing", "%@")]),
    ("en", "ja", "Total: %.2f kg", "合計: kg", [("placeholder.missing", "%.2f")]),
]


def names(source, target, from_language, to_language, **options):
    findings = check(source, target, source_language=from_language, target_language=to_language, **options)
    return [finding.name for finding in findings]


@pytest.mark.parametrize(("from_language", "to_language", "source", "target"), CLEAN)
def test_a_clean_pair_has_no_finding(from_language, to_language, source, target):
    assert names(source, target, from_language, to_language) == []


@pytest.mark.parametrize(("from_language", "to_language", "source", "target", "name"), FAULTY)
def test_each_fault_is_found(from_language, to_language, source, target, name):
    assert name in names(source, target, from_language, to_language)


@pytest.mark.parametrize(("from_language", "to_language", "source", "target", "expected"), WHILE_WRITING)
def test_one_fault_is_one_warning(from_language, to_language, source, target, expected):
    findings = check(source, target, source_language=from_language, target_language=to_language)
    assert [(finding.name, finding.values["text"]) for finding in findings] == expected


def test_a_term_may_be_inflected_where_words_have_endings():
    terms = [("quiet room", ["ruhiges Zimmer", "stiller Raum"])]
    assert names("A quiet room.", "Mit ruhigem Zimmer.", "en", "de", terms=terms) == []
    assert names("A quiet room.", "Ein Raum, still.", "en", "de", terms=terms) == []
    assert names("A quiet room.", "Eine leise Kammer.", "en", "de", terms=terms) == ["term"]


def test_an_answer_need_not_share_numbers_ending_or_length_with_what_it_answers():
    assert names("Is room 12 quiet?", "Yes", "en", "en", translation=False) == []


def test_what_is_not_written_yet_is_not_missing():
    source = "Could we have a quieter room, number 3?"
    assert names(source, "静か", "en", "ja", complete=False) == []
    languages = {"source_language": "en", "target_language": "ja"}
    assert not looks_complete(source, "静か", **languages)
    assert looks_complete(source, "静かな部屋をお願いします。", **languages)
    assert looks_complete(source, "静かな部屋をお願いできませんでしょうか", **languages)


def test_a_projects_own_ratio_replaces_the_languages_widths():
    source, target = "The room is quiet and has a view.", "Das Zimmer ist sehr ruhig und hat eine schöne Aussicht."
    assert names(source, target, "en", "de") == []
    assert names(source, target, "en", "de", ratio=0.5) == ["long"]


@pytest.mark.parametrize("target", ["Une chambre d'hôte.", "Une chambre d’hôte.", "Une chambre\u00a0dʼhôte."])
def test_a_term_is_used_whatever_its_apostrophe(target):
    assert names("A guest's room.", target, "en", "fr", terms=[("guest's room", ["chambre d'hôte"])]) == []
    assert names("A guest's room.", target, "en", "fr", terms=[("guest's room", ["chambre d’hôte"])]) == []


@pytest.mark.parametrize(
    ("term", "target"),
    [
        ("chambre d'hôte", "Une chambre d´hôte."),  # NFKC makes a blank and an accent of ´
        ("d´hôte", "La table d’hôte"),
        ("5′ Seil", "ein 5' Seil"),
        ("İstanbul", "istanbul burada"),
        ("ISPARTA", "ısparta"),
        ("كتاب", "هذا كِتَابٌ جيد"),
        ("كتاب", "كتـــاب"),
        ("שלום", "שָׁלוֹם"),
        ("コーヒー", "これはｺｰﾋｰです"),
        ("น้ำ", "นี่คือน้ํา"),
        ("Zusammenarbeit", "die Zusammen\u00adarbeit"),
        ("check-in", "beim Check‑in"),
    ],
)
def test_a_term_is_found_however_it_is_typed(term, target):
    assert not [*term_findings(target, [("term", [term])])]
    assert [*term_findings("ganz anders", [("term", [term])])]


def test_a_sign_of_html_is_no_number():
    assert names("R&#160;D costs 5 euros.", "R&nbsp;D coûte 5 euros.", "en", "fr") == []
    assert names("Tom &#38; Ann &#x26; Co", "Tom und Ann und Co", "en", "de") == []


@pytest.mark.parametrize(
    "piece", ["{", "{{ ", "<a ", "(", "12 ", "1,", "%s ", "3 p.m. ", "半", "千", "a@", "https://", "a"]
)
def test_hostile_texts_are_checked_in_seconds(piece):
    text = piece * (20_000 // len(piece))
    start = time.perf_counter()
    names(text, f"{text[1:]}.", "en", "ja")
    assert time.perf_counter() - start < 10, "on a busy machine"
