"""Numbers of the source in the target, however languages write them."""

import unicodedata

import pytest
from babel.numbers import format_decimal
from hypothesis import given
from hypothesis import strategies as st

from annotation.text.checks import check
from annotation.text.checks.numbers import missing_numbers

PRESENT = [
    ("en", "ja", "The fee is 24,000 yen.", "料金は2万4千円です。"),
    ("en", "ja", "It cost 120 million yen.", "1億2000万円かかりました。"),
    ("en", "ar", "It takes 15 minutes.", "يستغرق ١٥ دقيقة."),
    ("en", "ja", "We open at 12 a.m.", "0時に開きます。"),
    ("en", "ja", "It costs 10 million yen.", "1000万円です。"),
    ("ja", "en", "1億2000万円かかりました。", "It cost 120 million yen."),
    ("ja", "en", "3千500万円", "35 million yen"),
    ("ja", "en", "二千四百円", "2,400 yen"),
    ("hi", "en", "२ लाख ५० हज़ार रुपये", "250,000 rupees"),
    ("en", "hi", "250,000 rupees", "२,५०,००० रुपये"),
    ("en", "en", "1.5 crore people", "15 million people"),
    ("de", "en", "10 Mio. Euro", "10 million euros"),
    ("de", "en", "2,5 kg", "2.5 kg"),
    ("en", "de", "2.5 kg", "2,5 kg"),
    ("en", "de", "1,200 euros", "1.200 Euro"),
    ("en", "es", "1,200 euros", "1,200 euros"),
    ("en", "es", "1,200 euros", "1.200 euros"),
    ("en", "fr", "1,200 euros", "1 200 euros"),
    ("en", "fr", "1,200 euros", "1\u202f200 euros"),
    ("en", "ja", "from 3 to 5 p.m.", "15時から17時まで"),
    ("en", "ja", "15:00", "午後3時"),
    ("en", "ja", "at 3:30 p.m.", "15時30分"),
    ("en", "ja", "at midnight, 0:00", "午前0時"),
    ("en", "ja", "at 12 p.m.", "正午に"),
    ("en", "ja", "at 12 a.m.", "深夜0時"),
    ("ja", "en", "二〇二四年五月", "May 2024"),
    ("ja", "en", "5月3日", "May 3"),
    ("ja", "en", "2024年5月3日", "3 May 2024"),
    ("de", "en", "03.05.2024", "May 3, 2024"),
    ("en", "de", "on 2024/05/03.", "am 3. Mai 2024"),
    ("en", "ja", "1/2 cup", "2分の1カップ"),
    ("en", "ja", "½ cup", "半カップ"),
    ("en", "ja", "2½ years", "2年半"),
    ("en", "ja", "2.5 years", "2年半"),
    ("en", "ja", "30% off", "3割引"),
    ("en", "zh", "30% off", "七折"),
    ("en", "en", "120 rooms", "one hundred and twenty rooms"),
    ("ja", "en", "25 rooms", "twenty-five rooms"),
    ("en", "ja", "an area of 20 m²", "面積20平方メートル"),
    ("en", "am", "10 መኪና", "፲ መኪና"),
    ("en", "am", "15 መኪና", "፲፭ መኪና"),
    ("ko", "en", "2만 4천 원", "24,000 won"),
    ("en", "ko", "It costs 123,456 won.", "12만 3456원입니다."),
    ("en", "ko", "120,000,000 won", "1억 2000만 원"),
    ("zh", "en", "大约百分之三点五。", "About 3.5 percent."),
    ("en", "zh", "3.5% of people", "百分之三点五的人"),
    ("zh", "en", "百分之三。", "3 percent."),
    ("en", "zh", "It weighs 12.5 kg.", "重十二点五公斤。"),
    ("en", "zh", "It weighs 25 kg.", "重25千克。"),
    ("en", "zh", "25 km", "25千米"),
    ("en", "zh", "25 MW", "25兆瓦"),
    ("en", "zh", "3,000 m", "三千米"),
    ("en", "ko", "24,000 won", "2만 4천 원"),
    ("en", "ko", "24,000 won", "2만4000원"),
    ("en", "th", "2,500,000 baht", "2.5 ล้านบาท"),
    ("en", "th", "250 thousand", "๒๕๐,๐๐๐"),
    ("en", "ja", "Version 3.10.1", "バージョン3.10.1"),
    ("en", "ja", "Call 03-1234-5678", "電話03-1234-5678"),
    ("en", "ja", "10M users", "1000万人"),
    ("en", "ja", "10 m long", "長さ10メートル"),
    ("en", "es", "3 thousand million", "tres mil millones, 3000 millones"),
    ("en", "es", "3 billion", "3 mil millones"),
    ("en", "de", "3 billion", "3 Milliarden"),
    ("en-IN", "en", "12,34,567 rupees", "1,234,567 rupees"),
    ("ja", "en", "1億円", "100 million yen"),
    ("en", "ja", "Room 2 and room 2", "2号室と2号室"),
    ("en", "zh", "45 people", "四十五人"),
    ("en", "zh", "20 people", "廿人"),
    ("en", "zh", "300,000", "三十万"),
    ("ja", "en", "1.5億円", "150 million yen"),
    ("en", "ja", "A dozen (12) eggs", "12個の卵"),
    ("en", "ja", "100 million", "一億"),
    ("en", "ja", "1,000,000", "百万"),
    ("en", "ja", "10,000", "１万"),
    ("en", "ja", "1 in 3 people", "3人に1人"),
    ("en", "ja", "two-thirds", "3分の2"),
    ("en", "ja", "2/3", "3分の2"),
    ("en", "hi", "24 hours", "24 साल २४"),
    ("fa", "en", "۱۲۳ نفر", "123 people"),
    ("ar", "en", "٢٫٥ كجم", "2.5 kg"),
    ("ar", "en", "١٬٢٠٠", "1,200"),
    ("en", "en-IN", "10 million", "1 crore"),
    ("en", "hi", "10 million", "१ करोड़"),
    ("de", "en", "at 10.30 Uhr", "at 10:30"),
    ("en", "ja", "7:00", "7時"),
    ("de", "en", "7.00 Uhr", "7 a.m."),
    ("de", "en", "19.00 Uhr", "7 p.m."),
    ("en", "ja", "$5.00", "5ドル"),
    ("en", "de", "0.125", "0,125"),
    ("en", "zh", "It cost 350 million.", "花了3亿5千万。"),
    ("en", "zh", "1230000 people", "一百二十三万人"),
    ("en", "zh", "500,000 people.", "五十万人。"),
    ("en", "zh", "120 million people.", "1.2亿人。"),
    ("en", "hi", "15 million people.", "१.५ करोड़ लोग।"),
    ("en", "ja", "Open until 12:30 a.m.", "0時30分まで営業。"),
    ("en", "de", "At 8 p.m. we close.", "Wir schließen um 20 Uhr."),
    ("en", "fr", "At 8 p.m. we close.", "Nous fermons à 20h."),
    ("en", "ja", "It costs $1.5 billion.", "15億ドルです。"),
    ("en", "de", "It costs $1.5 billion.", "Es kostet 1,5 Milliarden Dollar."),
    ("en", "ja", "It costs ¥10,000.", "1万円です。"),
    ("en", "ja", "Sold 10 million.", "1千万個売れました。"),
    ("en", "ja", "10–15 minutes.", "10～15分です。"),
    ("en", "zh", "Save 50% now.", "现在节省百分之五十。"),
    ("en", "zh", "A third (1/3) is left.", "剩下三分之一。"),
    ("en", "ja", "It has 3.5 stars.", "星3つ半です。"),
    ("en", "ja", "It takes 1.5 hours.", "1時間半かかります。"),
    ("en", "ja", "The area is 25 m².", "面積は25平方メートルです。"),
    ("en", "ja", "Born on 12/25/1990.", "1990年12月25日生まれ。"),
    ("en", "ja", "Room 305 is on floor 3.", "305号室は3階です。"),
    ("en", "ja", "It costs 3 billion.", "30億です。"),
    ("en", "ja", "Call 911 now.", "今すぐ९११に電話を。"),
    ("en", "de", "The 1990s were good.", "Die 1990er waren gut."),
    ("en", "de", "He is 12 years old.", "Er ist zwölf Jahre alt."),
    ("en", "ja", "at 12 p.m.", "正午に"),
    ("en", "es", "5 million", "5 millones"),
    ("en", "es", "2.5 million", "2,5 millones"),
    ("de", "en", "7,5 Mio. Euro", "7.5 million euros"),
    ("ru", "en", "10 тысяч рублей", "10 thousand roubles"),
    ("ru", "en", "10 тыс. рублей", "10,000 roubles"),
    ("ru", "en", "5 млн рублей", "5 million roubles"),
    ("en", "ko", "Meet at 6 PM.", "18시에 만나요."),
    ("en", "ko", "Meet at 6 PM.", "오후 6시에 만나요."),
    ("en", "ko", "Meet at 18:00.", "오후 6시에 만나요."),
    ("ja", "en", "午前零時に閉まります。", "It closes at midnight."),
    ("ja", "en", "二十歳です。", "I am twenty."),
    ("ja", "en", "３割引です。", "It is 30% off."),
    ("ja", "en", "2杯の水", "Two glasses of water"),
    ("ja", "en", "十二万三千四百五十六円", "123,456 yen"),
    ("en-IN", "en", "Rs 1,50,000", "150,000 rupees"),
    ("en", "ja", "£5m", "500万ポンド"),
    ("en", "ja", "€3bn", "30億ユーロ"),
    ("en", "ja", "6:00–10:00", "6時から10時まで"),
    ("en", "ja", "1½ cups", "1カップ半"),
    ("en", "de", "1 1/2 cups", "1,5 Tassen"),
    ("en", "ja", "1 1/2 cups", "1と2分の1カップ"),
    ("en", "fr", "2 3/4 hours", "2,75 heures"),
    ("en", "de", "2019–20", "2019–2020"),
    ("en", "fr", "pages 123-7", "pages 123 à 127"),
    ("en", "ja", "10–12 people", "10人から12人"),
    ("en", "bn", "1 lakh", "১ লক্ষ"),
    ("en", "ta", "1 crore", "1 கோடி"),
    ("en", "te", "3 crore", "3 కోట్లు"),
    ("en", "ml", "1.5 lakh", "1.5 ലക്ഷത്തിൽ"),
    ("en", "sw", "5 million", "milioni 5"),
    ("en", "si", "5 million", "මිලියන 5"),
    # years of other eras
    ("ja", "en", "令和6年5月", "May 2024"),
    ("en", "ja", "May 1989", "平成元年5月"),
    ("en", "zh-Hant", "in 1990", "民國79年"),
    ("en", "th", "In 2024", "ในปี พ.ศ. ๒๕๖๗"),
    ("en", "th", "In 2024", "ในปี 2567"),
    # words of other languages, in their cases
    ("en", "de", "25 rooms", "fünfundzwanzig Zimmer"),
    ("en", "de", "a 25-year-old", "eine Fünfundzwanzigjährige"),
    ("en", "fr", "80 rooms", "quatre-vingts chambres"),
    ("en", "es", "21 rooms", "veintiún habitaciones"),
    ("en", "it", "100 rooms", "cento camere"),
    ("en", "pt", "200 pessoas", "duzentas pessoas"),
    ("en", "ru", "25 rooms", "двадцатью пятью комнатами"),
    ("en", "pl", "15 rooms", "piętnaście pokoi"),
    ("en", "ko", "25 people", "스물다섯 명"),
    ("en", "th", "25 rooms", "ห้องยี่สิบห้าห้อง"),
    ("en", "ar", "25 rooms", "خمسة وعشرون غرفة"),
    ("en", "hi", "25 rooms", "पच्चीस कमरे"),
    ("en", "vi", "25 rooms", "hai mươi lăm phòng"),
    ("en", "tr", "100 rooms", "yüz oda"),
    # Roman numerals answer for numbers, and are not asked for
    ("en", "fr", "in the 19th century", "au XIXe siècle"),
    ("en", "es", "in the 19th century", "en el siglo XIX"),
    ("en", "ru", "in the 20th century", "в XX веке"),
    ("ja", "en", "エリザベス2世", "Elizabeth II"),
    ("ja", "en", "第14章", "Chapter XIV"),
    ("en", "ja", "World War II, Chapter IV, CD, MIX", "第二次世界大戦、第4章"),
]
MISSING = [
    ("en", "ja", "Add 2.5 kg of flour.", "小麦粉を25kg加えます。", ["2.5"]),
    ("en", "ja", "It costs 10 million yen.", "10円です。", ["10 million"]),
    ("ja", "en", "2万4千円です。", "It is 2,400 yen.", ["2万4千"]),
    ("de", "en", "10 Millionen Euro", "10 euros", ["10 Millionen"]),
    ("en", "de", "2.5 kg", "25 kg", ["2.5"]),
    ("en", "de", "1,200 euros", "1,200 Euro", ["1,200"]),
    ("en", "ja", "12 p.m.", "0時", ["12"]),
    ("en", "ja", "5 nights, 5 dollars", "5泊", ["5"]),
    ("en", "ja", "Version 3.10.1", "バージョン3.1.10", ["3.10.1"]),
    ("en", "es", "3 billion", "3 billones", ["3 billion"]),
    ("en", "de", "3 billion", "3 Billionen", ["3 billion"]),
    ("ja", "en", "1億円", "10 million yen", ["1億"]),
    ("fa", "en", "۱۲۳ نفر", "132 people", ["123"]),
    ("en", "ja", "It weighs 0.5 kg.", "重さは5kgです。", ["0.5"]),
    ("en", "ja", "It is 3.75 m.", "375 mです。", ["3.75"]),
    ("en", "ja", "We have 5,000 rooms.", "50,000室あります。", ["5,000"]),
    ("en", "ja", "It costs 3 billion.", "3億です。", ["3 billion"]),
    ("en", "es", "2.5 million", "25 millones", ["2.5 million"]),
    ("ru", "en", "5 млн рублей", "5 roubles", ["5 млн"]),
    ("ja", "en", "十二万三千四百五十六円", "123,465 yen", ["十二万三千四百五十六"]),
    ("en", "hi", "1,000,000", "1,00,00,000", ["1,000,000"]),
    ("en", "de", "25 rooms", "fünfzig Zimmer", ["25"]),
    ("en", "fr", "25 rooms", "vingt chambres", ["25"]),
    ("en", "es", "the 19th century", "el siglo XVIII", ["19"]),
    ("en", "ja", "10-12 people", "10人", ["12"]),
    ("en", "ja", "10–12", "1012", ["10", "12"]),
    ("en", "de", "1 1/2 cups", "2,5 Tassen", ["1 1/2"]),
    ("en", "de", "2019–20", "2019–2021", ["20"]),
    ("en", "ta", "1 crore", "1 லட்சம்", ["1 crore"]),
    ("en", "de", "1,000 people", "1 Person", ["1,000"]),
    ("en", "ja", "10,000 people", "10人", ["10,000"]),
    ("de", "en", "2.000 Leute", "2 people", ["2.000"]),
    ("ja", "en", "令和6年", "2023", ["6"]),
    ("en", "ko", "It costs 123,456 won.", "12만 3465원입니다.", ["123,456"]),
    ("en", "zh", "3.5%", "百分之三点六", ["3.5"]),
    ("en", "zh", "25,000 people", "25人", ["25,000"]),
]
# (languages, source, target, what the finding names): a unit or a sign is lost while the number stays
UNITS = [
    ("en", "ja", "It is 25 m long.", "長さは25です。", "25 m"),
    ("en", "ja", "5 % of guests", "宿泊客の5", "5 %"),
    ("en", "ja", "It costs €20.", "20です。", "€20"),
    ("en", "de", "It is 3 °C.", "Es sind 3.", "3 °C"),
    ("en", "de", "$20 per night", "20 pro Nacht", "$20"),
    ("en", "de", "20 dollars a night", "20 pro Nacht", "20 dollars"),
    ("en", "de", "USD 20 a night", "20 pro Nacht", "USD 20"),
    ("en", "de", "20 USD", "20", "20 USD"),
    ("ja", "en", "20円です。", "It is 20.", "20円"),
    ("ja", "en", "25メートル", "25", "25メートル"),
    ("zh", "en", "5元", "5", "5元"),
    ("ko", "en", "5만원", "50,000", "5만원"),
    ("fr", "en", "20 % de rabais", "20 off", "20 %"),
    ("ru", "en", "25 км", "25", "25 км"),
    ("ru", "en", "5 рублей", "5", "5 рублей"),
    ("pl", "en", "5 złotych", "5", "5 złotych"),
    ("en", "de", "€20 million", "20 Millionen", "€20 million"),
    ("en", "de", "100 MB", "100", "100 MB"),
    ("en", "ja", "20 m²", "20", "20 m²"),
    ("en", "fr", "2 kg of rice", "2 de riz", "2 kg"),
    # another one of the same kind
    ("en", "fr", "It is 5 km away.", "C'est à 5 m.", "5 km"),
    ("en", "de", "5 mg twice a day", "5 g zweimal am Tag", "5 mg"),
    ("en", "ja", "It needs 16 GB.", "16 MBが必要です。", "16 GB"),
    ("en", "fr", "$20 per night", "20 € par nuit", "$20"),
    ("ru", "en", "5 км", "5 m", "5 км"),
    ("ja", "en", "25kgの荷物です。", "It is a parcel of 25.", "25kg"),
    ("en", "ja", "It needs 16 GB.", "16MBが必要です。", "16 GB"),
    ("en", "ja", "It is 20 m².", "20です。", "20 m²"),
    ("en", "zh", "25 kg", "25个", "25 kg"),
]
WITH_UNITS = [
    ("en", "ja", "25 m", "25メートル"),
    ("en", "ja", "5%", "5パーセント"),
    ("en", "zh", "5%", "百分之五"),
    ("en", "ja", "30% off", "3割引"),
    ("en", "zh", "30% off", "七折"),
    ("en", "de", "50 % of it", "die Hälfte davon"),
    ("en", "ja", "3 °C", "摂氏3度"),
    ("en", "fr", "3 °C", "3 degrés"),
    ("en", "ru", "10 km", "10 километров"),
    ("en", "ru", "$5", "5 долларов"),
    ("en", "he", "$20", "20 דולר"),
    ("en", "hi", "₹500", "500 रुपये"),
    ("en", "th", "500 baht", "500 บาท"),
    ("en", "zh", "20 pounds", "20英镑"),
    ("en", "ja", "20 pounds", "20ポンド"),
    ("en", "fr", "5 GB", "5 Go"),
    ("en", "ru", "5 m", "5 м"),
    ("en", "en", "10 lb", "10 lbs"),
    ("en", "de", "5 km and 5 m", "5 km und 5 m"),
    ("en", "fr", "$20", "20 $"),
    ("en", "ja", "5 km (3 mi)", "5キロ（3マイル）"),
    ("en", "tr", "5%", "yüzde 5"),
    ("en", "ja", "10 m users", "1000万人"),
    ("en", "ja", "4500 mph", "時速4500マイル"),
    ("en", "de", "195 km/h", "195 km / h"),
    ("en", "de", "180 km²", "180 km ²"),
    ("ru", "en", "в 2024 г.", "in 2024"),
    ("ja", "en", "3度行きました", "went 3 times"),
    ("en", "de", "20 real problems", "20 echte Probleme"),
    ("en", "de", "5 degrees in physics", "5 Abschlüsse in Physik"),
    # letters of a script without spaces follow
    ("en", "ja", "The file is 1.5 GB.", "ファイルは1.5GBです。"),
    ("en", "ja", "It weighs 3.5 kg.", "重さは3.5kgです。"),
    ("en", "zh", "100 km/h", "速度为100km/h左右"),
    ("en", "ko", "5 GB", "5GB입니다"),
    ("en", "th", "25 kg", "หนัก 25kgครับ"),
    # one sign for several, everyday and older words
    *(("en", "ja", "25 kg", f"25{word}") for word in ("㎏", "キロ", "㌔")),
    *(("en", "ja", "25 m²", f"25{word}") for word in ("㎡", "平米")),
    ("en", "ja", "25 %", "25㌫"),
    *(
        ("en", "ja", source, target)
        for source, target in (("25 cm", "25センチ"), ("25 mm", "25ミリ"), ("25 GB", "25ギガ"))
    ),
    *(("en", "zh", "25 kg", f"25{word}") for word in ("公斤", "千克")),
    *(("en", "zh", source, target) for source, target in (("25 km", "25公里"), ("25 cm", "25公分"), ("25 GB", "25G"))),
    ("en", "zh-Hant", "25 m", "25米"),
    *(("en", "ko", source, target) for source, target in (("25 kg", "25킬로"), ("25 cm", "25센티"))),
    *(
        ("en", "ar", source, target)
        for source, target in (("25 kg", "25 كجم"), ("25%", "25 بالمئة"), ("25 l", "25 لترًا"))
    ),
    *(("en", "th", source, target) for source, target in (("25 kg", "25 กิโล"), ("25%", "ร้อยละ 25"))),
    *(("en", "hi", source, target) for source, target in (("25 kg", "25 किलो"), ("25%", "25 फीसदी"))),
    *(("en", "he", "25 kg", f"25 {word}") for word in ('ק"ג', "ק״ג", "קילו")),
    *(
        ("en", "vi", source, target)
        for source, target in (("25 kg", "25 cân"), ("25 km", "25 cây số"), ("25%", "25 phần trăm"))
    ),
    *(("en", language, "25 kg", f"25 {word}") for language, word in (("de", "Kilo"), ("fr", "kilos"), ("tr", "kilo"))),
    ("en", "de", "25 m²", "25 qm"),
    ("en", "ru", "25 m²", "25 кв. м"),
    ("en", "uk", "2 thousand hryvnias", "2 тисячі гривень"),
    ("en", "xx", "25 m", "25"),  # a language of which CLDR has no names
    ("en", "haw", "25 km", "25"),
]
SIGNS = [
    ("en", "ja", "-5 °C", "5℃", "-5"),
    ("en", "de", "It was −5 °C.", "Es waren 5 °C.", "−5"),
    ("ja", "en", "気温は-5℃です。", "It is 5 °C.", "-5"),
    ("en", "de", "a balance of -$20", "ein Saldo von $20", "-$20"),
    ("en", "de", "±5 minutes", "5 Minuten", "±5"),
    ("en", "fr", "+/-3 mm", "3 mm", "+/-3"),
    ("en", "ja", "Call +81 3 1234 5678", "電話81 3 1234 5678", "+81"),
]
WITH_SIGNS = [
    ("en", "ja", "-5 °C", "-5℃"),
    ("en", "ja", "-5 °C", "マイナス5度"),
    ("en", "ja", "-5 °C", "氷点下5度"),
    ("en", "zh", "-5 °C", "零下5度"),
    ("en", "ko", "-5 °C", "영하 5도"),
    ("en", "de", "-5 °C", "minus 5 Grad"),
    ("en", "de", "-5 °C", "5 Grad unter null"),
    ("en", "fr", "-5 °C", "5 degrés au-dessous de zéro"),
    ("en", "ar", "-5", "\u200e-5"),
    ("en", "de", "COVID-19, 10-12, B-2", "COVID-19, 10 bis 12, B2"),
    ("en", "de", "10 -12 people", "10 bis 12 Leute"),
    ("en", "ja", "±5 minutes", "前後5分"),
    ("en", "de", "+3 % this year", "3 % mehr in diesem Jahr"),
    ("en", "de", "Call +49 30 123456", "Tel. 0049 30 123456"),
    ("en", "yo", "-5", "5"),  # a language whose words for it are not known
]


@pytest.mark.parametrize(("from_language", "to_language", "source", "target"), PRESENT)
def test_a_number_is_the_same_however_it_is_written(from_language, to_language, source, target):
    assert missing_numbers(source, target, from_language, to_language) == []


@pytest.mark.parametrize(("from_language", "to_language", "source", "target", "missing"), MISSING)
def test_another_number_is_named_as_the_source_writes_it(from_language, to_language, source, target, missing):
    assert missing_numbers(source, target, from_language, to_language) == missing


def named(kind, source, target, from_language, to_language):
    findings = check(source, target, source_language=from_language, target_language=to_language)
    return [finding.values["text"] for finding in findings if finding.name == kind]


@pytest.mark.parametrize(("from_language", "to_language", "source", "target", "text"), UNITS)
def test_a_unit_that_is_lost_is_named_with_its_number(from_language, to_language, source, target, text):
    assert named("unit", source, target, from_language, to_language) == [text]


@pytest.mark.parametrize(("from_language", "to_language", "source", "target"), WITH_UNITS)
def test_a_unit_is_the_same_however_it_is_written(from_language, to_language, source, target):
    assert named("unit", source, target, from_language, to_language) == []


@pytest.mark.parametrize(("from_language", "to_language", "source", "target", "text"), SIGNS)
def test_a_sign_that_is_lost_is_named_with_its_number(from_language, to_language, source, target, text):
    assert named("sign", source, target, from_language, to_language) == [text]


@pytest.mark.parametrize(("from_language", "to_language", "source", "target"), WITH_SIGNS)
def test_a_sign_is_the_same_however_it_is_written(from_language, to_language, source, target):
    assert named("sign", source, target, from_language, to_language) == []


def in_japanese(number: int, digits: str = "0123456789") -> str:
    """Written by hand, so as to share nothing with the checks: 120000000 is 1億2000万."""
    parts = []
    for unit, sign in ((10**12, "兆"), (10**8, "億"), (10**4, "万"), (1, "")):
        part, number = divmod(number, unit)
        if part:
            parts.append(f"{part}{sign}")
    return "".join(parts).translate(str.maketrans("0123456789", digits)) or digits[0]


def in_kanji(number: int) -> str:
    """12345 is 一万二千三百四十五."""
    text = ""
    for unit, sign in ((10**8, "億"), (10**4, "万"), (1, "")):
        group, number = divmod(number, unit)
        if group:
            for power, small in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
                digit, group = divmod(group, power)
                if digit:
                    text += ("" if digit == 1 and small and not sign else "〇一二三四五六七八九"[digit]) + small
            text += sign
    return text


whole = st.integers(min_value=13, max_value=10**13)


@given(whole)
def test_compound_numerals_of_japanese(number):
    for target in (in_japanese(number), in_japanese(number, "０１２３４５６７８９"), f"約{in_japanese(number)}円です"):
        assert missing_numbers(f"It is {number:,} yen.", target, "en", "ja") == []
    assert missing_numbers(f"{in_japanese(number)}円です。", f"{number:,} yen", "ja", "en") == []
    assert missing_numbers(f"It is {number:,} yen.", in_japanese(number + 1), "en", "ja") == [f"{number:,}"]


@given(st.integers(min_value=13, max_value=10**12 - 2))
def test_kanji_alone(number):
    assert missing_numbers(f"{number}", f"{in_kanji(number)}人", "en", "ja") == []
    assert missing_numbers(f"{number}", f"{in_kanji(number + 1)}人", "en", "ja") == [f"{number}"]


LOCALES = ["de", "fr", "es", "pt", "it", "ru", "pl", "cs", "hi", "bn", "mr", "ta", "ar", "fa", "ur", "th", "tr", "vi"]
LOCALES += ["sv", "fi", "uk", "de-CH", "en-IN", "ne", "my", "km", "nl", "el", "he", "id", "ko", "zh", "ja"]


@given(st.sampled_from(LOCALES), st.decimals(min_value=13, max_value=10**9, places=2))
def test_digits_and_separators_of_many_languages(locale, number):
    """Written by CLDR's own patterns, in the language's own digits where it has some."""
    wide = format_decimal(number, locale=locale.replace("-", "_"), numbering_system="default")
    assert missing_numbers(format_decimal(number, locale="en"), wide, "en", locale) == []
    other = format_decimal(number * 10, locale=locale.replace("-", "_"), numbering_system="default")
    assert missing_numbers(format_decimal(number, locale="en"), other, "en", locale) != []


@given(st.integers(min_value=0, max_value=10**9))
def test_digits_of_every_script(number):
    zeros = [chr(c) for c in range(0x20000) if unicodedata.decimal(chr(c), None) == 0]
    for zero in zeros:
        written = "".join(chr(ord(zero) + int(digit)) for digit in str(number))
        assert missing_numbers(written, str(number), "en", "en") == []


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["en", "ja", "ar", "hi", "de", "x-none", "qaa", ""]))
def test_any_text_is_read(source, target, language):
    assert missing_numbers(source, source, language, language) == []
    missing_numbers(source, target, "en", language)


def test_ten_thousand_numbers_are_compared_quickly():
    text = " ".join(f"{number}," for number in range(10_000))
    assert missing_numbers(text, text, "en", "ja") == []
