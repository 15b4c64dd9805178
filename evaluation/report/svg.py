"""From what matplotlib draws to an element that stands in a page."""

import re
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from evaluation.report.words import printable

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK = "{http://www.w3.org/1999/xlink}"
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_REFERRED = re.compile(r"url\(#([^)]+)\)")
_FAMILY = re.compile(r"(?:'DejaVu Sans', )?sans-serif|'DejaVu Sans'")


def clean_svg(drawn: str, *, title: str, description: str, salt: str) -> str:
    """Makes an `svg` element for HTML out of a document of its own.

    It gets a name and a description for who can't see it, fills the width that it is
    given, and keeps no name within it that nothing refers to, lest two drawings of a
    page have the same.

    Args:
        drawn: An SVG document by matplotlib.
        title: Its name.
        description: What it shows.
        salt: Begins the names that it gets.
    """
    root = ET.fromstring(drawn)  # noqa: S314 - our own drawing
    for metadata in root.findall(f"{_SVG}metadata"):
        root.remove(metadata)
    _drop_styles(root)
    _drop_names(root)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    named, described = f"{salt}-title", f"{salt}-description"
    root.attrib |= {
        "role": "img",
        "aria-labelledby": f"{named} {described}",
        "style": "stroke-linejoin:round;stroke-linecap:butt",
    }
    _describe(root, named, title, described, description)
    _localise(root)
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def _drop_styles(root: Element) -> None:
    """Takes out rules for a whole document, which would be rules for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{_SVG}style":
                parent.remove(child)


def _drop_names(root: Element) -> None:
    referred = set()
    for each in root.iter():
        for name, value in each.attrib.items():
            referred.update(_REFERRED.findall(value))
            if name.endswith("href"):
                referred.add(value.removeprefix("#"))
    for each in root.iter():
        if each.get("id") not in referred:
            each.attrib.pop("id", None)


def _describe(root: Element, named: str, title: str, described: str, description: str) -> None:
    for place, (tag, name, text) in enumerate(
        (("title", named, title), ("desc", described, description))
    ):
        element = Element(f"{_SVG}{tag}", {"id": name})
        element.text = printable(text)
        root.insert(place, element)


def _localise(root: Element) -> None:
    """Drops namespaces, which HTML knows itself, and asks for the reader's own font."""
    for each in root.iter():
        each.tag = each.tag.removeprefix(_SVG)
        reference = each.attrib.pop(f"{_XLINK}href", None)
        if reference is not None:
            each.set("href", reference)
        if each.tag == "text" and "style" in each.attrib:
            each.set("style", _FAMILY.sub(_FONTS, each.get("style", ""), count=1))
