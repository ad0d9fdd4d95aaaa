"""Cases of `format`, each with texts of the format's own specification (RFC 3339, 5321, 1123, 2673, 4291, 4122, 3986)."""

from __future__ import annotations

from collections.abc import Iterator

from builderbrain.eval.grammar_conformance.case import Case, schema_case

FORMATS: dict[str, tuple[str, ...]] = {
    "date": (
        *(
            "2024-02-29",
            "2023-02-29",
            "2023-13-01",
            "2023-00-10",
            "2023-04-31",
            "2023-1-1",
            "1999-12-31",
            "20230101",
            "",
            "2100-02-29",
        ),
        *("2000-02-29", "1900-02-29", "2023-06-30", "2023-06-31", "2023-01-32"),
    ),
    "time": (
        *(
            "12:30:00Z",
            "12:30:00+01:00",
            "24:00:00Z",
            "12:60:00Z",
            "12:30:00",
            "12:30Z",
            "23:59:60Z",
            "12:30:60Z",
            "00:00:00.123Z",
        ),
        *("08:30:06 PST", "1:02:03Z", "12:00:00-25:00"),
    ),
    "date-time": (
        *("2024-02-29T12:00:00Z", "2023-02-29T12:00:00Z", "2024-01-01T00:00:00+02:00", "2024-01-01 00:00:00", "2024-01-01"),
        *(
            "2024-01-01T25:00:00Z",
            "2024-01-01T00:00:00",
            "1998-12-31T23:59:60Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T00:00:00.5Z",
        ),
    ),
    "duration": (
        *("P1Y", "P1M2DT3H", "PT5S", "P", "PT", "P1W", "P1Y2W", "1Y", "P1S", "PT1D", "P2D", "PT1H30M", "P1D2H", "-P1D"),
    ),
    "email": (
        *(
            "a@b.example",
            "first.last@example.org",
            "@example.org",
            "a@",
            "a",
            "a@b@c.example",
            ".a@b.example",
            "a..b@b.example",
        ),
        *("a@-b.example", "x+y@example.com", "a b@example.org", "a@example"),
    ),
    "hostname": (
        *(
            "example.org",
            "a",
            "-a.example",
            "a-.example",
            "a..b",
            "xn--4gbwdl.xn--wgbh1c",
            "a_b.example",
            "",
            "9.example",
            "a" * 64,
        ),
        *("a" * 63, "example.org.", "a.b.c.d", "é.example"),
    ),
    "ipv4": (
        *("127.0.0.1", "255.255.255.255", "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.04", "0.0.0.0", "1.2.3.a", ""),
    ),
    "ipv6": (
        *(
            "::1",
            "::",
            "1::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "12345::",
            "::ffff:1.2.3.4",
            "1::2::3",
            "g::1",
        ),
        *("fe80::1%eth0", ":1:2:3:4:5:6:7", "::ffff:256.1.1.1", ":::"),
    ),
    "uuid": (
        *("123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000", "123e4567e89b12d3a456426614174000"),
        *(
            "123e4567-e89b-12d3-a456-42661417400",
            "123e4567-e89b-12d3-a456-42661417400g",
            "00000000-0000-0000-0000-000000000000",
            "",
        ),
    ),
    "uri": (
        *(
            "http://example.org/a?b#c",
            "urn:isbn:1",
            "//example.org",
            "example.org",
            "http:// bad",
            "mailto:a@b.example",
            "a:b",
            "",
        ),
        *("http://[::1]/", "http://a/%41", "http://a/%4", "http://a/\\", "1a:b", "http://example.org:80/"),
    ),
    "json-pointer": ("", "/a", "/a~0b", "/a~b", "a", "/a~1", "/~2", "//"),
    "regex": ("a+", "(", "[a", "^x$", "a{2}"),
    "uri-reference": ("/a/b", "a", "http://example.org", "\\\\a", "#x", "//a", "a b"),
    "iri": ("http://é.example/", "http://example.org", "é", "//a"),
}


def format_cases() -> Iterator[Case]:
    """One case with `type` and one without, which lets other types through."""
    for name, texts in FORMATS.items():
        yield schema_case(f"format:{name}", {"type": "string", "format": name}, texts)
        yield schema_case(f"format:{name}", {"format": name}, (texts[0], texts[2], 5, None, []))
