"""Words for made-up rows, among them the texts that break a careless pipeline.

`DIRTY` is what people and imports leave in real organisations: separators, quotes and escapes of
every format on the way (CSV, JSON, COPY, SQL), words that parsers take for nothing, numbers whose
leading zeros count, scripts beyond Latin, and characters that no eye sees. All of it is legal
text that has to arrive unchanged. What no database takes (U+0000, a lone surrogate) stands apart.
"""

from __future__ import annotations

FIRST_NAMES = (
    "Ada", "Ben", "Chloé", "Dmitri", "Elif", "Fatima", "Grace", "Hiro", "Ingrid", "José",
    "Kwame", "Lena", "Mei", "Nia", "Omar", "Priya", "Quentin", "Rosa", "Søren", "Tomás",
    "Uma", "Viktor", "Wanjiru", "Ximena", "Yara", "Zoë", "李雷", "さくら", "Ольга", "محمد", "דוד",
    "Ελένη", "D'Arcy",
)  # fmt: skip
LAST_NAMES = (
    "Abe", "Byron", "Castillo", "Dvořák", "Eriksson", "Fernández", "Garcia", "Hopper", "Ito",
    "Jansen", "Kovács", "Lovelace", "Müller", "Nguyễn", "O'Neil", "Petrov", "Quispe", "Rossi",
    "Smith-Jones", "Tanaka", "Ünal", "van der Berg", "Weiß", "Xu", "Y\u0131lmaz", "Żak", "Łukasik",
    "山田", "Иванова", "السيد",
)  # fmt: skip
COMPANY_WORDS = (
    "Adventure", "Blue Yonder", "Contoso", "Fabrikam", "Fourth Coffee", "Graphic Design",
    "Humongous", "Litware", "Margie's", "Northwind", "Proseware", "Relecloud", "Tailspin",
    "VanArsdel", "Wide World", "Wingtip", "Zażółć", "東京商事", "Łódź & Söhne",
)  # fmt: skip
COMPANY_ENDS = ("Ltd", "GmbH", "Inc.", "S.A.", "Traders", "& Co.", "Works", "Holding", "K.K.")
PRODUCTS = (
    "Pump retrofit", "Fleet renewal", "Data platform", "Café refit", "Support contract",
    "Rollout phase 2", "Pilot", "100% renewal", "Añadido anual", "Office move",
)  # fmt: skip
JOBS = (
    "Buyer",
    "CEO",
    "CFO",
    "Engineer",
    "Head of R&D",
    "Owner",
    "Sales lead",
    "Teacher",
    "VP, EMEA",
)
CITIES = (
    ("Paris", "Île-de-France", "France", "75001"),
    ("Boston", "MA", "United States", "02108"),
    ("Köln", "Nordrhein-Westfalen", "Germany", "50667"),
    ("大阪市", "大阪府", "Japan", "530-0001"),
    ("São Paulo", "SP", "Brazil", "01000-000"),
    ("Dublin", "Leinster", "Ireland", "D02 X285"),
    ("Sofia", None, "Bulgaria", "1000"),
    ("Abidjan", None, "Côte d'Ivoire", None),
)

DIRTY = (
    "null", "NULL", "NaN", "nan", "None", "N/A", "undefined", "", " ", "true", "0", "-0.0",
    "007", "00012345", "1e5", "2024-02-30", "\\N", "\\.", "back\\slash", "tab\tstop",
    "line\nbreak", "line\r\nbreak", "lone\rreturn", 'say "hello"', "it''s", "comma, semi; pipe|",
    '"', "'", 'a\\"b', "{curly} [square] %s $1", "=SUM(A1:A9)", "'; DROP TABLE contact; --",
    "<p>Bold &amp; <b>brave</b>&nbsp;</p>", " leading and trailing ", "ÀÉÎõü ß ﬁ",
    "e\u0301 combined",
    "日本語のテキスト", "Привет, мир", "مرحبا بالعالم", "\U0001f468\u200d\U0001f4bb\U0001f680",
    "zero\u200bwidth", "\ufeffmark", "right\u202eleft", "para\u2029graph", "next\x85line",
    "bell\x07 unit\x1f", "\U00020bb7 astral", "no\u00a0break",
)  # fmt: skip
LONG_MEMO = ("A very long note, with “quotes” & commas,\r\nover many lines.\t" * 40)[:2000]
HTML_MEMO = (
    "<html><body style=\"font-family:'Segoe UI'\"><table><tr><td>Caf&eacute;</td></tr></table>"
    '<!-- null --><script>alert("x")</script></body></html>'
)
NUL_TEXT = "before\x00after"
LONE_SURROGATE_TEXT = "before\ud83dafter"
