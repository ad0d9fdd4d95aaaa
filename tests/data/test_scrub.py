"""Personal data becomes placeholders; what only looks like it stays."""

import time

import pytest

from builderbrain.data.scrub import Scrubber


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jane.doe+x@mail.example.org, please", "write to <EMAIL_1>, please"),
        ("call +49 30 901820 or (415) 555-2671.", "call <PHONE_1> or <PHONE_2>."),
        ("Tel 030/901820 and 13800138000", "Tel <PHONE_1> and <PHONE_2>"),
        ("my phone number is 5551234", "my phone number is <PHONE_1>"),
        ("DE89 3704 0044 0532 0130 00 and gb29nwbk60161331926819", "<IBAN_1> and <IBAN_2>"),
        ("BE68 5390 0754 7034 thanks", "<IBAN_1> thanks"),
        ("card 4111 1111 1111 1111 123, or 378282246310005", "card <CARD_1> 123, or <CARD_2>"),
        ("3782-822463-10005", "<CARD_1>"),
        ("order 55 5500-0000-0000-0004", "order 55 <CARD_1>"),
        ("from 192.168.7.20. and 2001:db8::ff00:42:8329", "from <IP_1>. and <IP_2>"),
        ("key sk-proj-abcdEFGH1234567890abcd, AKIAIOSFODNN7EXAMPLE", "key <SECRET_1>, <SECRET_2>"),
        ("Authorization: Bearer abcdef0123456789abcdef", "Authorization: Bearer <SECRET_1>"),
        ("https://bob:hunter2@example.org/x", "https://bob:<SECRET_1>@example.org/x"),
        ("password abc123, and the password is 'open-sesame'.", "password <SECRET_1>, and the password is '<SECRET_2>'."),
        ("a@x.org to b@x.org and a@x.org", "<EMAIL_1> to <EMAIL_2> and <EMAIL_1>"),
        ("an ＢＯＢ＠example.org und bob@example.org！", "an <EMAIL_1> und <EMAIL_1>！"),
        ("to bo\u200bb@exam\u00adple.or\u200dg, ½ off…", "to <EMAIL_1>, ½ off…"),
        ("4111111111111111\u200b2nd card, a\u200bb@x.org\u200b", "<CARD_1>\u200b2nd card, <EMAIL_1>\u200b"),
        ("电话：１３８００１３８０００，谢谢", "电话：<PHONE_1>，谢谢"),
        ("＋49\u00a030\u00a0901820", "<PHONE_1>"),
    ],
)
def test_personal_data_is_replaced(text, expected):
    assert Scrubber().text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "card 4111 1111 1111 1112",  # Luhn fails
        "DE89370400440532013001 and CA180 scheduled to land",  # checksum fails; a flight
        "on 2023-03-20 and 01-02-2023 at 12:30:45, 25,000 yuan",
        "version 1.2.3, 300.1.2.3, 127.0.0.1, std::vector, 3.14159265",
        "order TJ12345678, ticket 20230512, built at 1679270400000",
        "reset my password please; a token of 12 parts",
        "me@home and @someone at 9 a.m.",
        "fe80::zz and a::b::c",
        "ｆｕｌｌ ｗｉｄｔｈ：１２，３ and a\u200bb, ½, ①, 𝐱 ＠ 9",
    ],
)
def test_what_only_looks_like_it_stays(text):
    assert Scrubber().text(text) == text


def test_rows_are_scrubbed_everywhere_and_counted():
    scrubber = Scrubber()
    scrubbed = scrubber.row(
        {
            "user": {"jane@x.org": [1, "see jane@x.org", 4111111111111111], "api_key": "plain words", "password": 123},
            "steps": [{"args": {"token": "${s1.token}", "pin": None, "secret": {"a": 1}}}],
            "count": 4111111111111112,
        }
    )
    assert scrubbed == {
        "user": {"<EMAIL_1>": [1, "see <EMAIL_1>", "<CARD_1>"], "api_key": "<SECRET_1>", "password": "<SECRET_2>"},
        "steps": [{"args": {"token": "${s1.token}", "pin": None, "secret": {"a": 1}}}],
        "count": 4111111111111112,
    }
    assert scrubber.counts == {"EMAIL": 2, "CARD": 1, "SECRET": 2}


def test_keys_in_full_width_name_secrets():
    assert Scrubber().row({"args": {"ｐａｓｓｗｏｒｄ": "plain words"}}) == {"args": {"ｐａｓｓｗｏｒｄ": "<SECRET_1>"}}


def test_scrubbing_twice_changes_nothing_and_numbers_are_not_given_twice():
    once = Scrubber().row({"a": "a@x.org", "password": "x1", "text": "password is abc123"})
    assert Scrubber().row(once) == once
    assert Scrubber().row({"a": "<EMAIL_1> and b@x.org"}) == {"a": "<EMAIL_1> and <EMAIL_2>"}


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "1 ",
        "a.@",
        "DE12 ",
        "1:",
        "password ",
        "1.1.",
        "+1 ",
        "eyJ",
        "sk-a",
        "(1",
        "0 1 ",
        "1-",
        "ａ",
        "a\u200b",
        "１\u200b",
    ],
)
def test_hostile_texts_cost_linear_time(piece):
    def seconds(length: int) -> float:
        started = time.process_time()
        Scrubber().text(piece * (length // len(piece)))
        return time.process_time() - started

    assert seconds(40_000) < 40 * max(seconds(4_000), 0.002)  # quadratic would be 100 times
