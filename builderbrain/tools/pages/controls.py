"""Which elements of a page a role and a name mean. Both drivers go by these rules; only what is shown they know better."""

from __future__ import annotations

from builderbrain.tools.pages.tree import Element

_BUTTON_INPUTS = frozenset({"submit", "button", "reset", "image"})
_CHECKED_INPUTS = frozenset({"checkbox", "radio"})
_OTHER_INPUTS = frozenset({"hidden", "file"}) | _BUTTON_INPUTS | _CHECKED_INPUTS
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})


def find(page: Element, role: str, name: str) -> list[Element]:
    """Elements of this role and name, in the order of the page. Names agree whatever their case and spaces.

    For `text` the innermost elements whose text holds the name; for `id` the element of that id.
    """
    wanted = _plain(name)
    if role == "id":
        return [element for element in page.elements() if element.attributes.get("id") == name]
    if role == "text":
        holding = {element for element in page.elements() if element.tag != "title" and wanted in _plain(element.text)}
        inner = (one for one in page.elements() if one in holding)
        return [one for one in inner if not any(child in holding for child in one.children if isinstance(child, Element))]
    found = [element for element in page.elements() if role_of(element) == role]
    return [element for element in found if wanted in {_plain(each) for each in names_of(page, element)}]


def find_field(page: Element, name: str) -> list[Element]:
    """Fields of this label, or of this id when none has the label."""
    return find(page, "field", name) or [one for one in find(page, "id", name) if role_of(one) == "field"]


def role_of(element: Element) -> str | None:
    """`button`, `link`, `checkbox`, `field` or `heading`; None for anything else, a field for files among it."""
    tag, kind = element.tag, element.attributes.get("type", "text").lower()
    if tag == "button" or (tag == "input" and kind in _BUTTON_INPUTS) or element.attributes.get("role") == "button":
        return "button"
    if tag == "a" and "href" in element.attributes:
        return "link"
    if tag == "input" and kind in _CHECKED_INPUTS:
        return "checkbox"
    if tag in ("textarea", "select") or (tag == "input" and kind not in _OTHER_INPUTS):
        return "field"
    return "heading" if tag in _HEADINGS else None


def names_of(page: Element, element: Element) -> list[str]:
    """What an element may be called: its label, its text, and what stands for them."""
    said = element.attributes
    names = [said[key] for key in ("aria-label", "placeholder", "title", "alt") if said.get(key)]
    if element.tag == "input" and said.get("type", "").lower() in _BUTTON_INPUTS:
        names.append(said.get("value", "Submit"))
    elif element.tag not in ("input", "textarea", "select"):
        names.append(element.text)
        names += [each.attributes["alt"] for each in element.elements() if each.tag == "img" and each.attributes.get("alt")]
    own = said.get("id")
    labels = [each for each in page.elements() if each.tag == "label" and own and each.attributes.get("for") == own]
    around = element.inside("label")
    names += [_own_words(label) for label in [*labels, *([around] if around is not None else [])]]
    return [name for name in names if name.strip()]


def is_hidden(element: Element) -> bool:
    """Whether the markup itself hides an element or something it stands in."""
    one: Element | None = element
    while one is not None:
        style = one.attributes.get("style", "").replace(" ", "").lower()
        unseen = one.tag in ("head", "script", "style", "template", "noscript", "datalist")
        typed = one.tag == "input" and one.attributes.get("type", "").lower() == "hidden"
        if unseen or typed or "hidden" in one.attributes or "display:none" in style or "visibility:hidden" in style:
            return True
        one = one.parent
    return False


def title_of(page: Element) -> str:
    """The title of the page, empty without one."""
    return next((element.text for element in page.elements() if element.tag == "title"), "")


def described(page: Element) -> list[str]:
    """Lines that say what is on a page: headings, texts and controls by name, in its order; what is hidden is left out."""
    lines: list[str] = []
    for element in page.elements():
        if element.tag in ("#page", "title") or is_hidden(element):
            continue
        role = role_of(element)
        own = " ".join("".join(child for child in element.children if isinstance(child, str)).split())
        if role is not None:
            lines.append(f"{role}: {(names_of(page, element) or ['without a name'])[0]}")
        elif own and element.tag not in ("label", "option"):
            lines.append(f"text: {own}")
    return lines


def _own_words(label: Element) -> str:
    """The text of a label without that of the controls inside it."""
    parts = [child if isinstance(child, str) else _own_words(child) for child in label.children]
    return "" if label.tag in ("select", "textarea", "button") else " ".join(" ".join(parts).split())


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
