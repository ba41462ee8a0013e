"""What no template may hold under the content security policy, and what every one must."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
FORBIDDEN = {
    "an inline style": re.compile(r"\sstyle\s*="),
    "a style element": re.compile(r"<style[\s>]"),
    "an inline handler": re.compile(r"\son[a-z]+\s*=(?!=)"),
    "an htmx expression": re.compile(r"hx-on|\bjs:|javascript:"),
    "a trigger filter": re.compile(r"hx-trigger=\"[^\"]*\["),
    "an image from a data address": re.compile(r"[\"'(]data:"),
    "an address of another host": re.compile(r"(?:src|href|action)=\"(?:https?:)?//"),
    "a filter that switches escaping off": re.compile(r"\|\s*safe\b|autoescape off"),
}
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.S)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_holds_nothing_that_the_policy_blocks(path):
    text = path.read_text(encoding="utf-8")
    for words, pattern in FORBIDDEN.items():
        found = pattern.search(text)
        assert not found, f"{words}: {text[max(0, found.start() - 40) : found.end() + 40]!r}"
    for attributes, body in SCRIPT.findall(text):
        is_data = 'type="application/json"' in attributes
        assert is_data or ("src=" in attributes and not body.strip()), "an inline script"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_compiles(path):
    assert get_template(str(path.relative_to(ROOT / "templates")))


def test_every_icon_that_is_named_stands_in_the_sprite():
    sprite = (ROOT / "static/web/icons.svg").read_text(encoding="utf-8")
    known = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    wanted = set()
    for path in TEMPLATES:
        text = path.read_text(encoding="utf-8")
        wanted |= {(f"i-{name}", path.name) for name in re.findall(r'{% icon "([a-z-]+)"', text)}
        wanted |= {
            (f"s-{name}", path.name) for name in re.findall(r'{% state_icon "([a-z-]+)"', text)
        }
        wanted |= {(f"p-{name}", path.name) for name in re.findall(r'{% pattern "([a-z-]+)"', text)}
    assert not {one for one in wanted if one[0] not in known}


def test_every_look_of_a_status_has_its_shape_in_the_sprite():
    from orchestrator.web.templatetags.baton import LOOKS

    sprite = (ROOT / "static/web/icons.svg").read_text(encoding="utf-8")
    for status, look in LOOKS.items():
        assert f'id="s-{look.shape}"' in sprite, status
        assert look.word[0].isupper()


def test_vendored_htmx_is_the_pinned_one():
    assert (ROOT / "static/web/vendor/htmx-4.0.1.min.js").exists()
    assert 'this.version="4.0.1"' in (ROOT / "static/web/vendor/htmx-4.0.1.min.js").read_text()


def test_scripts_and_styles_of_a_console_page_stay_within_their_budget():
    import gzip

    def size(*names):
        return sum(len(gzip.compress((ROOT / "static" / name).read_bytes())) for name in names)

    assert size("web/vendor/htmx-4.0.1.min.js", "web/frame.js") <= 30_000
    assert size("css/tokens.css", "css/base.css", "css/screens.css") <= 25_000
