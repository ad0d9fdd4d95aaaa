"""Random names of the kind that goals and files hold: words, identifiers, folders, paths, phrases.

Four in ten are letters that spell nothing or are put together at random, so that a model cannot memorise them and has
to copy. Shared by the text of the bundled base and by the goals that rails are trained on.
"""

from __future__ import annotations

import random
import string

WORDS = """
access account adapter agent alpha anchor answer archive array async audit auth balance bank base batch battery beam
block board body border bound branch bridge broker browser bucket budget buffer builder build bus button cache call
cancel card case catalog center chain channel check child chunk circuit class clean client clock cloud cluster code
color column command commit common compare compiler concept config connect constraint consumer content context
contract control copy core count cover crash cursor curve cycle data database deadline decoder default delay delta
deploy design device diff digest disk dispatch document domain draft drain driver dual edge editor email encoder
engine entry error event example exception executor expert export factor failure family fault feature feedback fetch
field file filter flag float flow font footer format forward frame function fusion garden gate gather gauge goal
gradient grammar graph grid group guard handle handler harbor hash header health heap helper hidden history hook host
image import index info input install instance integer interface interval invoice item iterator job join journal
kernel key label language latch latency layer layout ledger lemon lens level library license light limit line link
list loader local lock log logic loop loss machine manager manifest map margin mask matcher matrix measure memory
merge message meta method metric mirror mixer mode model module monitor motor mount network node noise norm note
number object offset option order origin output owner packet page panel parameter parser part patch path payload
payment pending permission phase phone pipe pixel place plan planner player plugin pointer policy pool port position
prefix print private probe process profile program progress promotion prompt proof property protocol provider proxy
pulse queue quota random range rank rate ratio reader record recovery refund region register registry release render
repair replay report request reset resource response result retry review revision ring river risk robot rollback root
router row rule runner sample sandbox scale scan schedule schema scheme scope score screen script search section seed
segment sensor sequence server service session setting shadow shape share shell shift signal signature silver skill
slice slot socket solver sort source space speed spine split stack stage state station statistics status step storage
stream string stub style suite summary support switch symbol sync syntax system table target task template tensor term
test text theme thread ticket time timeout timer title token tool topic total trace track traffic train transfer tree
trigger trust tunnel type unit update upload user validator value vector version view visitor warning watch weight
widget window wire word worker world wrapper writer yard zone
""".split()  # noqa: SIM905 - a list of this length is easier to read as text

PEOPLE = """
Ada Alan Anita Barbara Ben Carol Clara Dana Dennis Edsger Elena Emil Fatima Frances Grace Hana Ivan Jan Jean Joan
Karim Katherine Ken Lena Leslie Lin Lucia Maria Marvin Mei Nadia Niklaus Noor Olga Omar Paul Radia Rosa Sam Sophie Tim
Tomas Vera Wei Yusuf Zoe
""".split()  # noqa: SIM905 - a list of this length is easier to read as text

EXTENSIONS = """
py py py py md md md toml yaml json txt cfg rst sh c h cu cpp html css js ts ini lock csv sql
""".split()  # noqa: SIM905 - a list of this length is easier to read as text

FOLDERS = """
src docs tests lib app core tools scripts config data examples benchmarks schemas assets notebooks api web internal
cmd pkg
""".split()  # noqa: SIM905 - a list of this length is easier to read as text


def random_word(rng: random.Random) -> str:
    """A dictionary word, or letters that spell nothing."""
    return rng.choice(WORDS) if rng.random() < 0.88 else "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 9)))


def random_identifier(rng: random.Random) -> str:
    """snake_case, camelCase, PascalCase, CONSTANT, dotted, hyphenated or numbered."""
    parts = [random_word(rng) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
    form = rng.randrange(8)
    if form <= 2:
        return "_".join(parts)
    if form == 3:
        return parts[0] + "".join(p.title() for p in parts[1:])
    if form == 4:
        return "".join(p.title() for p in parts)
    if form == 5:
        return "_".join(parts).upper()
    if form == 6:
        return rng.choice(".-").join(parts)
    return "_".join(parts) + str(rng.randrange(100))


def random_folder(rng: random.Random) -> str:
    """A folder of one to three levels."""
    first = rng.choice(FOLDERS) if rng.random() < 0.6 else random_word(rng)
    return "/".join([first, *(random_word(rng) for _ in range(rng.choice((0, 0, 0, 1, 2))))])


def random_path(rng: random.Random) -> str:
    """A file path, with or without a folder."""
    name = random_identifier(rng) if rng.random() < 0.6 else random_word(rng)
    if rng.random() < 0.1:
        return rng.choice(
            ("README.md", "Makefile", "LICENSE", "setup.py", "pyproject.toml", ".gitignore", "Dockerfile", "CHANGELOG.md")
        )
    path = f"{name}.{rng.choice(EXTENSIONS)}"
    return f"{random_folder(rng)}/{path}" if rng.random() < 0.4 else path


def random_phrase(rng: random.Random) -> str:
    """One to four words or an identifier: something that could be looked for."""
    if rng.random() < 0.4:
        return random_identifier(rng)
    return " ".join(random_word(rng) for _ in range(rng.choice((1, 1, 2, 2, 2, 3, 3, 4))))
