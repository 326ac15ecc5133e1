"""How templates are rendered: those of a stage, in the frame and style that all pages share."""

from __future__ import annotations

import jinja2


def page_environment(package: str) -> jinja2.Environment:
    """The templates of a package, in its folder `templates`, beside `page.html` and `page.css`."""
    loaders = (
        jinja2.PackageLoader(package, "templates"),
        jinja2.PackageLoader("mpo_snn.page", "."),
    )
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
