"""From a template to a page: escaping, the style sheet, the script, and the policy that allows no more than these."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ppbench.figures.colours import figure_css
from ppbench.tables.escapes import for_xml

_TEMPLATES = Path(__file__).parent / "templates"


def page_of(template: str, **values: Any) -> str:
    """Fill in a template.

    Every text is escaped for HTML, and what reorders a line or cannot be seen becomes visible; only `Markup` passes as
    it is.

    Args:
        template: Its name in ``ppbench/page/templates``. Those that extend ``base.html.j2`` are whole pages.
        values: What it shows. One that is used and not given is an error.
    """
    script = _asset("page.js")
    style = figure_css() + _asset("page.css") + _asset("strip.css")
    values |= {"policy": content_policy(script), "style": Markup(style), "script": Markup(script)}
    return _environment().get_template(template).render(values)


def content_policy(script: str) -> str:
    """The content security policy of a page: no network, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible_text,
    )


def _visible_text(value: Any) -> Any:
    if value is None:
        raise ValueError("a template shows a value that is None")
    return for_xml(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
