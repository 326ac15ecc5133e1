"""Opens one page in Chromium (Qt WebEngine), off the screen, and tells what happened.

python open_page.py PAGE.html WIDTH PICTURE.png [PRINT.pdf]; needs PyQt6-WebEngine alone. Whether
the page is dark is decided by QTWEBENGINE_CHROMIUM_FLAGS, which Chromium reads when it starts.
Prints JSON: console messages, addresses that the page asked for, drawings with their sizes, how far
the page is wider than the window, and the colour of its background.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

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

LOOK = """JSON.stringify({
  drawings: [...document.querySelectorAll('svg')].map(svg => {
    const box = svg.getBoundingClientRect();
    return {label: svg.getAttribute('aria-label'), width: box.width, height: box.height,
            marks: svg.querySelectorAll('path, text, rect, use').length};
  }),
  beyond: document.documentElement.scrollWidth - window.innerWidth,
  height: document.documentElement.scrollHeight,
  background: getComputedStyle(document.body).backgroundColor
})"""


PAPER = QPageLayout(
    QPageSize(QPageSize.PageSizeId.A4),
    QPageLayout.Orientation.Portrait,
    QMarginsF(16, 16, 16, 16),
    QPageLayout.Unit.Millimeter,
)
"""With the margins that the page asks for; Qt sets none of its own accord."""


class Requests(QWebEngineUrlRequestInterceptor):
    """Keeps every address that is no part of the page itself."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self.seen: list[str] = []

    def interceptRequest(self, info: QWebEngineUrlRequestInfo) -> None:
        """Called by Qt for each request."""
        address = info.requestUrl().toString()
        if not address.startswith(("file:", "data:")):
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
    profile, requests = QWebEngineProfile(), Requests()
    profile.setUrlRequestInterceptor(requests)
    view = QWebEngineView()
    page = Page(profile)
    page.settings().setAttribute(QWebEngineSettings.WebAttribute.ShowScrollBars, False)
    view.setPage(page)
    view.resize(int(width), 1000)
    view.show()
    seen: dict[str, object] = {}

    def finish() -> None:
        view.grab().save(picture)
        print(json.dumps({**seen, "messages": page.messages, "requests": requests.seen}))
        if pdf:
            page.pdfPrintingFinished.connect(lambda *_: app.quit())
            page.printToPdf(pdf[0], PAPER)
        else:
            app.quit()

    def looked(answer: str) -> None:
        seen.update(json.loads(answer))
        view.resize(int(width), min(int(seen["height"]), 16_000))  # type: ignore[call-overload]
        QTimer.singleShot(1500, finish)

    def loaded(ok: bool) -> None:
        seen["loaded"] = ok
        QTimer.singleShot(500, lambda: page.runJavaScript(LOOK, looked))

    page.loadFinished.connect(loaded)
    view.load(QUrl.fromLocalFile(str(Path(address).resolve())))
    app.exec()


if __name__ == "__main__":
    main()
