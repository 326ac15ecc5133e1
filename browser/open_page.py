"""Opens one page in Chromium (Qt WebEngine), off the screen, and tells what happened.

python open_page.py ADDRESS WIDTH PICTURE.png [PRINT.pdf]; needs PyQt6-WebEngine alone. Whether
the page is dark is decided by QTWEBENGINE_CHROMIUM_FLAGS, which Chromium reads when it starts.
Prints JSON: console messages, addresses that the page asked for or names to be loaded (none is let
through), figures and drawings, how far the page is wider than the window, and its background.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from PyQt6.QtCore import QMarginsF, QTimer, QUrl
from PyQt6.QtGui import QPageLayout, QPageSize
from PyQt6.QtWebEngineCore import (
    QWebEnginePage,
    QWebEngineProfile,
    QWebEngineSettings,
    QWebEngineUrlRequestInfo,
    QWebEngineUrlRequestInterceptor,
)
from PyQt6.QtWebEngineWidgets import QWebEngineView
from PyQt6.QtWidgets import QApplication

LOOK = """(() => {
  const seen = mark => {
    const box = mark.getBoundingClientRect(), style = getComputedStyle(mark);
    const painted = [style.fill, style.stroke].some(
      paint => paint !== 'none' && paint !== 'rgba(0, 0, 0, 0)');
    return box.width + box.height > 0 && painted
      && mark.checkVisibility({opacityProperty: true, visibilityProperty: true});
  };
  const words = node => node ? node.textContent.trim().replace(/\\s+/g, ' ') : '';
  const named = ['src', 'href', 'poster', 'data'].flatMap(name =>
    [...document.querySelectorAll(`[${name}]:not(a)`)].map(one => one.getAttribute(name)));
  return JSON.stringify({
    named: named.filter(one => !/^(#|data:)/.test(one)).map(
      one => URL.canParse(one, document.baseURI) ? new URL(one, document.baseURI).href : one),
    drawings: [...document.querySelectorAll('svg')].map(svg => {
      const box = svg.getBoundingClientRect();
      const marks = [...svg.querySelectorAll('path, text, rect, use')].filter(seen);
      return {label: svg.getAttribute('aria-label'), width: box.width, height: box.height,
              marks: marks.length, shapes: marks.filter(one => one.tagName !== 'text').length};
    }),
    figures: [...document.querySelectorAll('figure')].map(figure => ({
      caption: words(figure.querySelector('figcaption b')) || words(
        (figure.closest('section') || document).querySelector('h2')),
      drawings: figure.querySelectorAll('svg').length
    })),
    beyond: document.documentElement.scrollWidth - window.innerWidth,
    height: document.documentElement.scrollHeight,
    background: getComputedStyle(document.body).backgroundColor
  });
})()"""


PAPER = QPageLayout(
    QPageSize(QPageSize.PageSizeId.A4),
    QPageLayout.Orientation.Portrait,
    QMarginsF(16, 16, 16, 16),
    QPageLayout.Unit.Millimeter,
)
"""With the margins that the page asks for; Qt sets none of its own accord."""


class Requests(QWebEngineUrlRequestInterceptor):
    """Lets the page through and keeps, and refuses, every other address that is asked for."""

    def __init__(self, page: str) -> None:
        """Start with none."""
        super().__init__()
        self.page = page
        self.seen: list[str] = []

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        """Called by Qt for each request."""
        address = info.requestUrl().toString()
        if address == self.page or address.startswith("data:"):
            return
        info.block(True)
        own_icon = QUrl(self.page).resolved(QUrl("/favicon.ico")).toString()
        kind = QWebEngineUrlRequestInfo.ResourceType.ResourceTypeFavicon
        if (address, info.resourceType()) != (own_icon, kind):  # which Chromium asks for unbidden
            self.seen.append(address)


class Page(QWebEnginePage):
    """Keeps what is written to the console."""

    def __init__(self, profile: QWebEngineProfile) -> None:
        """Start with nothing."""
        super().__init__(profile)
        self.messages: list[str] = []

    def javaScriptConsoleMessage(self, level: object, text: str, line: int, source: str) -> None:
        """Called by Qt for each message."""
        self.messages.append(f"{text} (line {line})")


def main() -> None:
    """Open, look, take the picture, print to PDF if asked."""
    address, width, picture, *pdf = sys.argv[1:]
    app = QApplication(sys.argv[:1])
    profile, requests = QWebEngineProfile(), Requests(address)
    profile.setUrlRequestInterceptor(requests)
    view = QWebEngineView()
    page = Page(profile)
    page.settings().setAttribute(QWebEngineSettings.WebAttribute.ShowScrollBars, False)
    view.setPage(page)
    view.resize(int(width), 1000)
    view.show()
    seen: dict[str, Any] = {}

    def finish() -> None:
        view.grab().save(picture)
        if pdf:
            page.pdfPrintingFinished.connect(lambda *_: tell())
            page.printToPdf(pdf[0], PAPER)
        else:
            tell()

    def tell() -> None:
        asked = list(dict.fromkeys([*requests.seen, *seen["named"]]))
        print(json.dumps({**seen, "messages": page.messages, "requests": asked}))
        app.quit()

    def looked(answer: str) -> None:
        seen.update(json.loads(answer))
        view.resize(int(width), min(int(seen["height"]), 16_000))
        QTimer.singleShot(1500, finish)

    def loaded(ok: bool) -> None:
        seen["loaded"] = ok
        QTimer.singleShot(500, lambda: page.runJavaScript(LOOK, looked))

    page.loadFinished.connect(loaded)
    view.load(QUrl(address))
    app.exec()


if __name__ == "__main__":
    main()
